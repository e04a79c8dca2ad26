"""Listeners: all HTTP and HTTPS listeners of one address and port are one Envoy listener.

HTTPS listeners are filter chains told apart by SNI, each with a RouteConfiguration of its own. Plain listeners share the default
filter chain, and a RouteConfiguration named after the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.xds_server.render import streams
from services.xds_server.render.accesslog import access_logs
from services.xds_server.render.names import USUAL, Names
from services.xds_server.render.tls import downstream_context, downstream_socket, tls_needs
from services.xds_server.render.tracing import tracing
from services.xds_server.render.types import LISTENER, ROUTE, Need, Rendered, rendered
from shared.features.catalog import FILTERS, hooks
from shared.features.client.connection import xds as connection
from shared.features.client.grpc import xds as grpc
from shared.features.client.headers import xds as headers
from shared.features.client.health_check import xds as health_check
from shared.features.client.http1 import xds as http1
from shared.features.client.http3 import xds as http3
from shared.features.client.ip_detection import xds as ip_detection
from shared.features.client.path import xds as path
from shared.features.client.proxy_protocol import xds as proxy_protocol
from shared.features.client.scheme import xds as scheme
from shared.features.client.tcp_keepalive import xds as tcp_keepalive
from shared.features.client.timeout import xds as timeout
from shared.features.parts.per_route import PIECE, Shared
from shared.features.parts.xds_values import config_source, given, wrapped
from shared.features.route.dynamic_resolver import xds as dynamic_resolver
from shared.features.traffic.http2 import xds as http2
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.ir.gateway import AccessLog, ReadyListener
from shared.ir.http import HttpListener
from shared.ir.tcp import TcpListener, TcpRoute
from shared.ir.telemetry import FilterPosition, Tracing
from shared.ir.tls import ListenerTls
from shared.xds.message import Fields, pack

MAX_CONCURRENT_STREAMS = 100
HCM = "envoy.filters.network.http_connection_manager"
_HCM_MESSAGE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
_FINGERPRINTS = {"JA3": "enable_ja3_fingerprinting", "JA4": "enable_ja4_fingerprinting"}

ROUTER = "envoy.filters.http.router"
_OTHER_FILTERS = 50
"""The place of a filter that no feature has."""


class OfGateway(NamedTuple):
    """What all listeners of a Gateway have from it: access log, tracing, wishes for the order of filters, who counts requests, names."""

    log: AccessLog | None = None
    traced: Tracing | None = None
    order: Sequence[FilterPosition] = ()
    rate_limit_service: RateLimitService | None = None
    names: Names = USUAL


NOTHING = OfGateway()

SHARED: Shared = {name: whole for table in hooks("xds", "SHARED") for name, whole in table.items()}
"""Filters that all routes of a listener share: each adds pieces, and here they are put together."""

Filters = Mapping[str, Fields]
"""Name -> HttpFilter that the routes of a filter chain need, or name of a piece -> what of a shared one."""


def route_config_names(listeners: Sequence[HttpListener], names: Names) -> list[str]:
    """The RouteConfiguration of each listener of one port, in the Gateway's order."""
    plain = next((names.chain(each) for each in listeners if each.tls is None), "")
    return [names.chain(each) if each.tls is not None else plain for each in listeners]


def host_rank(listener: HttpListener) -> tuple[int, int]:
    """How exactly a listener says which hosts are its own; the smaller, the more."""
    host = listener.hostnames[0] if listener.hostnames else "*"
    return (2 if host == "*" else 1 if host.startswith("*") else 0, -len(host))


def listener(
    listeners: Sequence[HttpListener],
    filters: Sequence[Filters],
    stream: Sequence[tuple[TcpListener, Sequence[TcpRoute]]] = (),
    gateway: OfGateway = NOTHING,
) -> Rendered:
    """The Listener of one address and port, from its HTTP listeners and then its TCP and TLS ones (at least one of all)."""
    members: list[HttpListener | TcpListener] = [*listeners, *(of for of, _ in stream)]
    first = members[0]
    fields = _head(first, gateway.names.listener(first), gateway.log)
    fields |= connection.on_listener(first.connection) | timeout.on_listener(first.timeout) | tcp_keepalive.on_listener(first.tcp_keepalive)
    needs: list[Need] = [(ROUTE, name) for name in dict.fromkeys(route_config_names(listeners, gateway.names))]
    chains: list[Fields] = []
    inspects = False
    for each, wanted in zip(listeners, filters, strict=True):
        if each.tls is None:
            continue
        chains.append(_tls_chain(each, downstream_socket(each.tls, each.tls_overlaps), _hcm(each, wanted, gateway), gateway.names))
        inspects |= "filter_chain_match" in chains[-1]
        needs += tls_needs(each.tls)
    led_nowhere = False
    for of, routes in stream:
        if routes or not led_nowhere:
            chains += streams.chains(of, routes, gateway.log)
            led_nowhere |= not routes
        inspects |= any(streams.server_names(r) or dynamic_resolver.resolves_sni(r, terminated=of.tls is not None) for r in routes)
        needs += tls_needs(of.tls) if of.tls is not None and routes else ()
    # a header before the first byte of anything else: one listener that has it decides for its port
    before = next((each.proxy_protocol for each in members if each.proxy_protocol is not None), None)
    listener_filters = [*proxy_protocol.listener_filters(before), *_inspectors([m.tls for m in members if m.tls is not None], inspects)]
    if listener_filters:
        fields["listener_filters"] = listener_filters
    if chains:
        fields["filter_chains"] = chains
    plain = [(each, wanted) for each, wanted in zip(listeners, filters, strict=True) if each.tls is None]
    if plain:
        together = {name: f for _, wanted in reversed(plain) for name, f in wanted.items()}
        fields["default_filter_chain"] = _chain(plain[0][0], _hcm(plain[0][0], together, gateway), gateway.names)
    return rendered(LISTENER, fields, tuple(needs), place=f"{first.address}:{first.port}")


def quic_listener(
    listeners: Sequence[HttpListener],
    filters: Sequence[Filters],
    gateway: OfGateway = NOTHING,
) -> tuple[str, Rendered] | None:
    """Name and Listener for HTTP/3 beside the one for TCP, of all HTTPS listeners of a port; None where none of them wants it."""
    if not any(each.http3 is not None for each in listeners):
        return None
    first, name = listeners[0], gateway.names.quic(listeners[0])
    fields = _head(first, name, gateway.log) | http3.on_listener()
    fields["address"]["socket_address"]["protocol"] = "UDP"
    chains: list[Fields] = []
    needs: list[Need] = []
    for each, wanted in zip(listeners, filters, strict=True):
        if each.tls is None:
            continue
        socket = http3.socket(downstream_context(each.tls, (http3.ALPN,)))
        chains.append(_tls_chain(each, socket, _hcm(each, wanted, gateway) | http3.on_hcm(), gateway.names))
        needs += [(ROUTE, each.name), *tls_needs(each.tls)]
    fields["filter_chains"] = chains
    return name, rendered(LISTENER, fields, tuple(needs), place=f"udp {first.address}:{first.port}")


def _head(first: HttpListener | TcpListener, name: str, log: AccessLog | None) -> Fields:
    address: Fields = {"address": first.address, "port_value": first.port}
    if first.ip_family == "DualStack":
        address["ipv4_compat"] = True
    logs = access_logs(log, "Listener")
    return {"name": name, "address": {"socket_address": address}} | ({"access_log": logs} if logs else {})


def _inspectors(of: Sequence[ListenerTls], wanted: bool) -> list[Fields]:
    """The filter that looks into handshakes, for names and for fingerprints; all listeners of a port share it."""
    prints = {name for tls in of for name in tls.fingerprints}
    if not wanted and not prints:
        return []
    config: Fields = {field: wrapped(True) for name, field in _FINGERPRINTS.items() if name in prints}
    inspector = pack("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", config)
    return [{"name": _TLS_INSPECTOR, "typed_config": inspector}]


def _tls_chain(of: HttpListener, socket: Fields, hcm: Fields, names: Names) -> Fields:
    chain = _chain(of, hcm, names) | {"transport_socket": socket}
    if of.hostnames and of.hostnames[0] != "*":
        chain["filter_chain_match"] = {"server_names": list(of.hostnames)}
    return chain


def _chain(of: HttpListener, hcm: Fields, names: Names) -> Fields:
    network = connection.network_filters(of.connection, names.statistics(of))
    network.append({"name": HCM, "typed_config": pack(_HCM_MESSAGE, hcm)})
    return {"name": names.chain(of), "filters": network} | timeout.on_chain(of.timeout)


def _hcm(of: HttpListener, filters: Filters, gateway: OfGateway) -> Fields:
    own = grpc.http_filters(of.grpc) | health_check.http_filters(of.health_check) | headers.http_filters(of.headers)
    suppress = of.headers is None or not of.headers.enable_envoy_headers
    safely = of.http1 is None or not of.http1.disable_safe_max_connection_duration
    connections: Fields = {"headers_with_underscores_action": headers.underscores(of.headers)}
    http2_options = {"max_concurrent_streams": wrapped(MAX_CONCURRENT_STREAMS)} | http2.options(of.http2)
    return given(
        {
            "stat_prefix": gateway.names.statistics(of),
            "rds": {"config_source": config_source(), "route_config_name": gateway.names.chain(of)},
            "access_log": access_logs(gateway.log, "Route") or None,
            "tracing": tracing(gateway.traced),
            "server_header_transformation": "PASS_THROUGH",
            "http2_protocol_options": http2_options,
            "common_http_protocol_options": connections | timeout.on_connections(of.timeout) | connection.on_connections(of.connection),
            "request_id_extension": _request_ids(of.request_id),
            "http_filters": [*_ordered({**assembled(of, filters, gateway), **own}, gateway.order), router(gateway.log, suppress)],
        }
        | ip_detection.on_hcm(of.client_ip_detection)
        | headers.on_hcm(of.headers, of.host)
        | path.on_hcm(of.path)
        | scheme.on_hcm(of.match_backend_scheme)
        | http1.on_hcm(of.http1)
        | timeout.on_hcm(of.timeout)
        | connection.on_hcm(of.connection, safely=safely)
    )


def _request_ids(action: str | None) -> Fields | None:
    """How request ids carry the decision to trace; None where Envoy's way is wanted, which does both."""
    if action in (None, "PackAndSample"):
        return None
    config: Fields = {
        "pack_trace_reason": wrapped(action == "Pack"),
        "use_request_id_for_trace_sampling": wrapped(action == "Sample"),
    }
    return {"typed_config": pack("envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", config)}


def router(log: AccessLog | None, suppress: bool = True) -> Fields:
    """The router filter, which ends every chain; `suppress`: no `x-envoy-` headers are added."""
    config: Fields = {"suppress_envoy_headers": True} if suppress else {}
    if logs := access_logs(log, "Upstream"):
        config |= {"upstream_log": logs, "upstream_log_options": {"flush_upstream_log_on_upstream_stream": True}}
    return {"name": ROUTER, "typed_config": pack("envoy.extensions.filters.http.router.v3.Router", config)}


def _kind(filter: str) -> str:
    """What a filter is: several of a kind have names of their own behind a slash, or behind a dot."""
    kind = filter.partition("/")[0]
    return kind if kind in FILTERS or (above := kind.rpartition(".")[0]) not in FILTERS else above


def _usual(filter: str) -> int:
    """The place of a filter where the Gateway has no wish."""
    known = FILTERS.get(_kind(filter))
    if known is None:
        return _OTHER_FILTERS
    number = filter.rpartition("/")[2] if known.numbered else ""
    return known.order + (int(number) if number.isdigit() else 0)


def assembled(of: HttpListener, filters: Filters, gateway: OfGateway = NOTHING) -> Filters:
    """Whole filters alone: those that came in pieces are put together."""
    out: dict[str, Fields] = {}
    pieces: dict[str, dict[str, dict[str, Fields]]] = {}
    for name, fields in filters.items():
        filter, _, rest = name.partition(PIECE)
        field, _, entry = rest.partition(PIECE)
        if rest:
            pieces.setdefault(filter, {}).setdefault(field, {})[entry] = fields
        else:
            out[name] = fields
    for filter, found in pieces.items():
        made = SHARED[filter](of, found, gateway)
        out |= {name: fields for name, fields in made.items() if fields is not None}
    return out


def _ordered(filters: Filters, order: Sequence[FilterPosition]) -> list[Fields]:
    """The filters in their usual order, then moved as the Gateway wishes, one wish after the other.

    All of a kind move together. A wish about a filter that is not there is void; the router, which must stand last, is not among them.
    """
    names = sorted(filters, key=lambda n: (_usual(n), n))
    for wish in order:
        moved = [n for n in names if _kind(n) == wish.name]
        rest = [n for n in names if _kind(n) != wish.name]
        marks = [i for i, n in enumerate(rest) if _kind(n) == (wish.before or wish.after)]
        if moved and marks:
            at = marks[0] if wish.before else marks[-1] + 1
            names = [*rest[:at], *moved, *rest[at:]]
    return [filters[name] for name in names]


def ready_listener(ready: ReadyListener) -> tuple[str, Rendered]:
    """Name and Listener that answers readiness probes; anything but the probe's path gets 500."""
    name = f"envoy-gateway-proxy-ready-{ready.address}-{ready.port}"
    probe: Fields = {"pass_through_mode": wrapped(False), "headers": [{"name": ":path", "string_match": {"exact": ready.path}}]}
    check: Fields = {
        "name": "envoy.filters.http.health_check",
        "typed_config": pack("envoy.extensions.filters.http.health_check.v3.HealthCheck", probe),
    }
    routes: Fields = {"match": {"prefix": "/"}, "direct_response": {"status": 500}}
    hcm: Fields = {
        "stat_prefix": "eg-ready-http",
        "route_config": {"name": "ready_route", "virtual_hosts": [{"name": "ready_route", "domains": ["*"], "routes": [routes]}]},
        "http_filters": [check, router(None)],
    }
    address: Fields = {"address": ready.address, "port_value": ready.port}
    if ready.ip_family in ("IPv6", "DualStack"):
        address["ipv4_compat"] = True
    fields: Fields = {
        "name": name,
        "address": {"socket_address": address},
        "filter_chains": [{"filters": [{"name": HCM, "typed_config": pack(_HCM_MESSAGE, hcm)}]}],
        "bypass_overload_manager": True,
    }
    return name, rendered(LISTENER, fields, place=f"{ready.address}:{ready.port}")
