"""Timeouts in Envoy: those of a request stand on the route's action, those of a connection on the cluster."""

from __future__ import annotations

from shared.features.parts.xds_values import duration, given, nanoseconds
from shared.features.traffic.timeout.ir import HttpTimeout, Timeout
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

CONNECT = "10s"
LEAST_IDLE = "1h"
"""A stream may be idle as long as its request may last, and by default that long at least."""


def _http(timeout: Timeout | None) -> HttpTimeout:
    return timeout.http if timeout is not None and timeout.http is not None else HttpTimeout()


def on_action(route: HttpRoute) -> Fields:
    """Fields that a policy's timeouts add to the RouteAction; the route's own request timeout goes before."""
    http = _http(route.traffic.timeout if route.traffic is not None else None)
    out: Fields = {}
    if http.request_timeout is not None and route.timeout is None:
        longest = nanoseconds(http.request_timeout)
        out["timeout"] = duration(http.request_timeout)
        out["idle_timeout"] = duration(LEAST_IDLE if 0 < longest < nanoseconds(LEAST_IDLE) else http.request_timeout)
    if http.stream_idle_timeout is not None:
        out["idle_timeout"] = duration(http.stream_idle_timeout)
    if http.max_stream_duration is not None:
        out["max_stream_duration"] = {"max_stream_duration": duration(http.max_stream_duration)}
    return out


def says_idle(route: HttpRoute) -> bool:
    """Whether a policy of the route says how long a stream may be idle."""
    return _http(route.traffic.timeout if route.traffic is not None else None).stream_idle_timeout is not None


def connect(timeout: Timeout | None) -> Fields:
    """The cluster's connect_timeout."""
    tcp = timeout.tcp if timeout is not None else None
    return duration(tcp.connect_timeout if tcp is not None and tcp.connect_timeout is not None else CONNECT)


def on_connections(timeout: Timeout | None, *, of_route: bool) -> Fields:
    """Fields of the cluster's common_http_protocol_options; a route says for itself how long its streams may last."""
    http = _http(timeout)
    fields = {"idle_timeout": http.connection_idle_timeout, "max_connection_duration": http.max_connection_duration}
    if not of_route:
        fields["max_stream_duration"] = http.max_stream_duration
    return given({name: duration(text) if text is not None else None for name, text in fields.items()})
