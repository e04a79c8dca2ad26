"""Backends that are whatever host the client names: the proxy's own host is refused, or the client could reach what listens there.

For TLS that passes through, the name is the SNI; a network filter resolves it, and the port is the usual one of TLS.
"""

from __future__ import annotations

from shared.features.parts import predicates
from shared.ir.destination import Destination
from shared.ir.http import HttpRoute
from shared.ir.tcp import TcpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.rbac.dfp_loopback_deny"
_HTTP, _NETWORK = "envoy.extensions.filters.http.rbac.v3", "envoy.extensions.filters.network"
_LOOPBACK = (r"127\.0\.0\.1", "localhost", r"localhost\.localdomain", "ip6-localhost", "ip6-loopback", r"\[::1\]", "::1")
_LOOPBACK_SNI = r"(?i)^(localhost|localhost\.localdomain|ip6-localhost|ip6-loopback|127\.0\.0\.1|::1|\[::1\])\.?$"
_TLS_PORT = 443


def _is_dynamic(destination: Destination | None) -> bool:
    return destination is not None and len(destination.settings) == 1 and destination.settings[0].is_dynamic_resolver


def filters(ir: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that forbids nothing by itself."""
    return {NAME: {"name": NAME, "typed_config": pack(f"{_HTTP}.RBAC")}} if _is_dynamic(ir.destination) else {}


def per_route(ir: HttpRoute) -> dict[str, Fields]:
    """What the filter forbids on a route whose host the client chooses, by the Host header or by another one."""
    rewrite = ir.url_rewrite.host if ir.url_rewrite is not None else None
    if not _is_dynamic(ir.destination) or (rewrite is not None and rewrite.name is not None):
        return {}
    header = rewrite.header if rewrite is not None and rewrite.header is not None else ":authority"
    names = [predicates.header(header, predicates.regex(rf"^{name}(?::\d+)?$")) for name in _LOOPBACK]
    deny = _action("deny-loopback-host", {"name": "DENY", "action": "DENY"})
    denied: Fields = {"predicate": predicates.any_of(names)[0], "on_match": deny}
    matcher: Fields = {"matcher_list": {"matchers": [denied]}, "on_no_match": _action("default", {"name": "ALLOW"})}
    return {NAME: pack(f"{_HTTP}.RBACPerRoute", {"rbac": {"matcher": matcher}})}


def _action(name: str, action: Fields) -> Fields:
    return {"action": {"name": name, "typed_config": pack("envoy.config.rbac.v3.Action", action)}}


def resolves_sni(route: TcpRoute, *, terminated: bool) -> bool:
    """Whether connections go where their SNI says. `terminated`: TLS ends at the listener, so that what goes on is no TLS."""
    return _is_dynamic(route.destination) and route.tls is not None and route.tls.inspector is not None and not terminated


def network_filters(cache: Fields, stat_prefix: str) -> list[Fields]:
    """Network filters of such connections: one that refuses, and one that resolves; `cache` is the cluster's DnsCacheConfig."""
    permission: Fields = {"requested_server_name": {"safe_regex": {"regex": _LOOPBACK_SNI}}}
    policy: Fields = {"permissions": [permission], "principals": [{"any": True}]}
    refusal: Fields = {"stat_prefix": stat_prefix, "rules": {"action": "DENY", "policies": {"deny-loopback-sni": policy}}}
    resolution: Fields = {"dns_cache_config": cache, "port_value": _TLS_PORT}
    return [
        {"name": "envoy.filters.network.rbac", "typed_config": pack(f"{_NETWORK}.rbac.v3.RBAC", refusal)},
        {
            "name": "envoy.filters.network.sni_dynamic_forward_proxy",
            "typed_config": pack(f"{_NETWORK}.sni_dynamic_forward_proxy.v3.FilterConfig", resolution),
        },
    ]
