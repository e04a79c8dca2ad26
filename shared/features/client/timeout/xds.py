"""Timeouts towards clients in Envoy: of listener filters, of filter chains, of the HTTP connection manager and of TCP proxies."""

from __future__ import annotations

from collections.abc import Mapping

from shared.features.client.timeout.ir import ClientTimeout, HttpClientTimeout, TcpClientTimeout
from shared.features.parts.xds_values import duration
from shared.xds.message import Fields


def _tcp(timeout: ClientTimeout | None) -> TcpClientTimeout:
    return timeout.tcp if timeout is not None and timeout.tcp is not None else TcpClientTimeout()


def _http(timeout: ClientTimeout | None) -> HttpClientTimeout:
    return timeout.http if timeout is not None and timeout.http is not None else HttpClientTimeout()


def _durations(texts: Mapping[str, str | None]) -> Fields:
    return {name: duration(text) for name, text in texts.items() if text is not None}


def on_listener(timeout: ClientTimeout | None) -> Fields:
    return _durations({"listener_filters_timeout": _tcp(timeout).connection_inspection_timeout})


def on_chain(timeout: ClientTimeout | None) -> Fields:
    return _durations({"transport_socket_connect_timeout": _tcp(timeout).tls_handshake_timeout})


def on_tcp_proxy(timeout: ClientTimeout | None) -> Fields:
    return _durations({"idle_timeout": _tcp(timeout).idle_timeout})


def on_hcm(timeout: ClientTimeout | None) -> Fields:
    of = _http(timeout)
    return _durations(
        {
            "request_timeout": of.request_received_timeout,
            "request_headers_timeout": of.request_headers_received_timeout,
            "stream_idle_timeout": of.stream_idle_timeout,
        }
    )


def on_connections(timeout: ClientTimeout | None) -> Fields:
    """Fields of the connection manager's common_http_protocol_options."""
    return _durations({"idle_timeout": _http(timeout).idle_timeout})


def keeps_idle_streams(timeout: ClientTimeout | None) -> bool:
    """Whether the listener says how long a stream may be idle, so that no route's request timeout decides it."""
    return _http(timeout).stream_idle_timeout is not None
