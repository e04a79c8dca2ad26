"""One row a feature: where it is written, where it attaches, what it becomes in Envoy, and who else reads its IR.

This table is what the services go by. `hooks` finds a feature's functions in its room by their names, so that xds_server reaches
`xds.py` and nothing else of it, and a new feature is a room and a row.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any, NamedTuple


class Filter(NamedTuple):
    """An HTTP filter of Envoy's, and its place: filters that refuse early stand first. `numbered`: of several that one policy has the
    last part of their names is the number by which it lists them."""

    name: str
    order: int
    numbered: bool = False


class Feature(NamedTuple):
    """`written` is the CRD field; `attach` the objects that carry it. `on_failure` is what becomes of requests where it cannot be
    translated."""

    room: str
    written: str
    attach: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    on_failure: str = "500"
    read_by: tuple[str, ...] = ()


_RULE = ("HTTPRoute.rule",)
_BACKEND = (*_RULE, "HTTPRoute.rule.backendRef")
_TRAFFIC = ("BackendTrafficPolicy",)
_CLIENT = ("ClientTrafficPolicy",)
_SECURITY = ("SecurityPolicy",)
_EXTENSION = ("EnvoyExtensionPolicy",)


def _http(name: str, order: int, *, numbered: bool = False) -> Filter:
    return Filter(f"envoy.filters.http.{name}", order, numbered)


FEATURES: tuple[Feature, ...] = (
    Feature("route.header_modifier", "filters[].requestHeaderModifier, filters[].responseHeaderModifier", _BACKEND),
    Feature("route.redirect", "filters[].requestRedirect", _RULE),
    Feature("route.url_rewrite", "filters[].urlRewrite, HTTPRouteFilter.spec.urlRewrite", _BACKEND, read_by=("route.redirect",)),
    Feature("route.mirror", "filters[].requestMirror", _RULE),
    Feature("route.cors", "filters[].cors", _RULE, (_http("cors", 3),)),
    Feature("route.direct_response", "HTTPRouteFilter.spec.directResponse", _RULE),
    Feature("route.credential_injection", "HTTPRouteFilter.spec.credentialInjection", _BACKEND, (_http("credential_injector", 307),)),
    Feature("route.dynamic_resolver", "Backend.spec.type DynamicResolver", ("Backend",), (_http("rbac.dfp_loopback_deny", 301),)),
    Feature("route.timeouts", "timeouts", _RULE, on_failure="default"),
    Feature("route.retry", "retry", (*_RULE, *_TRAFFIC), on_failure="ignored"),
    Feature("route.session_persistence", "sessionPersistence", _RULE, (_http("stateful_session", 11),), "rule dropped"),
    Feature("traffic.timeout", "timeout", _TRAFFIC),
    Feature("traffic.load_balancer", "loadBalancer", _TRAFFIC),
    Feature("traffic.circuit_breaker", "circuitBreaker", _TRAFFIC),
    Feature("traffic.health_check", "healthCheck", _TRAFFIC),
    Feature("traffic.tcp_keepalive", "tcpKeepalive", _TRAFFIC),
    Feature("traffic.http2", "http2", _TRAFFIC),
    Feature("traffic.backend_connection", "connection", _TRAFFIC),
    Feature("traffic.dns", "dns", _TRAFFIC),
    Feature("traffic.proxy_protocol", "proxyProtocol", _TRAFFIC),
    Feature("traffic.http_upgrade", "httpUpgrade", _TRAFFIC),
    Feature("traffic.admission_control", "admissionControl", _TRAFFIC),
    Feature("traffic.telemetry", "telemetry", _TRAFFIC),
    Feature("traffic.response_override", "responseOverride", _TRAFFIC, (_http("custom_response", 0),)),
    Feature("traffic.fault_injection", "faultInjection", _TRAFFIC, (_http("fault", 2),)),
    Feature("traffic.request_buffer", "requestBuffer", _TRAFFIC, (_http("buffer", 12),)),
    Feature("traffic.rate_limit", "rateLimit", _TRAFFIC, (_http("local_ratelimit", 302), _http("ratelimit", 303))),
    Feature("traffic.bandwidth_limit", "bandwidthLimit", _TRAFFIC, (_http("bandwidth_limit", 304),)),
    Feature("traffic.compression", "compressor, compression", _TRAFFIC, (_http("compressor", 308),)),
    Feature("client.timeout", "timeout", _CLIENT),
    Feature("client.connection", "connection", _CLIENT),
    Feature("client.headers", "headers", _CLIENT, (_http("header_mutation", 5),)),
    Feature("client.path", "path", _CLIENT),
    Feature("client.scheme", "scheme", _CLIENT),
    Feature("client.http1", "http1", _CLIENT),
    Feature("client.http3", "http3", _CLIENT),
    Feature("client.grpc", "grpc", _CLIENT, (_http("grpc_web", 305), _http("grpc_stats", 306))),
    Feature("client.tls", "tls", _CLIENT),
    Feature("client.ip_detection", "clientIPDetection", _CLIENT),
    Feature("client.proxy_protocol", "proxyProtocol", _CLIENT),
    Feature("client.health_check", "healthCheck", _CLIENT, (_http("health_check", 1),)),
    Feature("client.tcp_keepalive", "tcpKeepalive", _CLIENT),
    Feature("security.cors", "cors", _SECURITY, (_http("cors", 3),), read_by=("route.cors",)),
    Feature("security.csrf", "csrf", _SECURITY, (_http("csrf", 4),)),
    Feature("security.ext_auth", "extAuth", _SECURITY, (_http("ext_authz", 6),)),
    Feature("security.api_key_auth", "apiKeyAuth", _SECURITY, (_http("api_key_auth", 7),)),
    Feature("security.basic_auth", "basicAuth", _SECURITY, (_http("basic_auth", 8),)),
    Feature("security.oidc", "oidc", _SECURITY, (_http("oauth2", 9),)),
    Feature("security.jwt", "jwt", _SECURITY, (_http("jwt_authn", 10),), read_by=("security.oidc", "security.authorization")),
    Feature("security.authorization", "authorization", _SECURITY, (_http("geoip", 300), _http("rbac", 301))),
    Feature("extension.lua", "lua", _EXTENSION, (_http("lua", 13, numbered=True),)),
    Feature("extension.ext_proc", "extProc", _EXTENSION, (_http("ext_proc", 100, numbered=True),)),
    Feature("extension.wasm", "wasm", _EXTENSION, (_http("wasm", 200, numbered=True),)),
    Feature("extension.dynamic_module", "dynamicModule", _EXTENSION, (_http("dynamic_modules", 250, numbered=True),)),
)

FILTERS: dict[str, Filter] = {each.name: each for feature in FEATURES for each in feature.filters}


@functools.cache
def hooks(side: str, name: str, group: str = "") -> tuple[Any, ...]:
    """The functions (or tables) of that name in the rooms' module `side` (xds, translate), in the order of the rows.

    `group` is the rooms' first part (security, extension …), '' for all.
    """
    return tuple(_found(side, name, group))


def _found(side: str, name: str, group: str) -> Iterator[Any]:
    for room in dict.fromkeys(feature.room for feature in FEATURES):
        if room.startswith(f"{group}." if group else ""):
            module = f"{__package__}.{room}.{side}"
            if importlib.util.find_spec(module) is not None:
                found = getattr(importlib.import_module(module), name, None)
                if found is not None:
                    yield found
