"""One row a feature: where it is written, where it attaches, what it becomes in Envoy, and who else reads its IR.

Data only. Rooms are found by name, so that the translator reaches their `translate.py` and the xds_server their `xds.py`,
and neither the other's.
"""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """`written` is the CRD field; `attach` the objects that carry it; `filter` Envoy's HTTP filter, '' where it needs none."""

    room: str
    written: str
    attach: tuple[str, ...]
    filter: str = ""
    order: int = 0
    on_failure: str = "500"
    read_by: tuple[str, ...] = ()


_RULE = ("HTTPRoute.rule", "HTTPRoute.rule.backendRef")

_BACKEND_POLICY = ("BackendTrafficPolicy",)
_CLIENT_POLICY = ("ClientTrafficPolicy",)
_SECURITY_POLICY = ("SecurityPolicy",)
_EXTENSION_POLICY = ("EnvoyExtensionPolicy",)

FEATURES: tuple[Feature, ...] = (
    Feature("route.header_modifier", "filters[].requestHeaderModifier, filters[].responseHeaderModifier", _RULE),
    Feature("route.redirect", "filters[].requestRedirect", ("HTTPRoute.rule",)),
    Feature("route.url_rewrite", "filters[].urlRewrite, HTTPRouteFilter.spec.urlRewrite", _RULE, read_by=("route.redirect",)),
    Feature("route.mirror", "filters[].requestMirror", ("HTTPRoute.rule",)),
    Feature("route.cors", "filters[].cors", ("HTTPRoute.rule",), "envoy.filters.http.cors", 3),
    Feature("route.direct_response", "HTTPRouteFilter.spec.directResponse", ("HTTPRoute.rule",)),
    Feature("route.credential_injection", "HTTPRouteFilter.spec.credentialInjection", _RULE, "envoy.filters.http.credential_injector", 307),
    Feature("route.dynamic_resolver", "Backend.spec.type DynamicResolver", ("Backend",), "envoy.filters.http.rbac.dfp_loopback_deny", 301),
    Feature("route.timeouts", "timeouts", ("HTTPRoute.rule",), on_failure="default"),
    Feature("route.retry", "retry", ("HTTPRoute.rule", "BackendTrafficPolicy"), on_failure="ignored"),
    Feature(
        "route.session_persistence", "sessionPersistence", ("HTTPRoute.rule",), "envoy.filters.http.stateful_session", 11, "rule dropped"
    ),
    *(
        Feature(f"traffic.{room}", f"BackendTrafficPolicy.spec.{field}", _BACKEND_POLICY)
        for room, field in (
            ("timeout", "timeout"),
            ("load_balancer", "loadBalancer"),
            ("circuit_breaker", "circuitBreaker"),
            ("health_check", "healthCheck"),
            ("tcp_keepalive", "tcpKeepalive"),
            ("http2", "http2"),
            ("backend_connection", "connection"),
            ("dns", "dns"),
            ("proxy_protocol", "proxyProtocol"),
            ("http_upgrade", "httpUpgrade"),
            ("admission_control", "admissionControl"),
            ("telemetry", "telemetry"),
        )
    ),
    *(
        Feature(f"traffic.{room}", f"BackendTrafficPolicy.spec.{field}", _BACKEND_POLICY, filter, order)
        for room, field, filter, order in (
            ("response_override", "responseOverride", "envoy.filters.http.custom_response", 0),
            ("fault_injection", "faultInjection", "envoy.filters.http.fault", 2),
            ("request_buffer", "requestBuffer", "envoy.filters.http.buffer", 12),
            ("bandwidth_limit", "bandwidthLimit", "envoy.filters.http.bandwidth_limit", 304),
            ("compression", "compressor, compression", "envoy.filters.http.compressor", 308),
        )
    ),
    *(
        Feature(f"client.{room}", f"ClientTrafficPolicy.spec.{field}", _CLIENT_POLICY, filter, order)
        for room, field, filter, order in (
            ("timeout", "timeout", "", 0),
            ("connection", "connection", "", 0),
            ("headers", "headers", "envoy.filters.http.header_mutation", 5),
            ("path", "path", "", 0),
            ("scheme", "scheme", "", 0),
            ("http1", "http1", "", 0),
            ("http3", "http3", "", 0),
            ("grpc", "grpc", "envoy.filters.http.grpc_web", 305),
            ("tls", "tls", "", 0),
            ("ip_detection", "clientIPDetection", "", 0),
            ("proxy_protocol", "proxyProtocol", "", 0),
            ("health_check", "healthCheck", "envoy.filters.http.health_check", 1),
            ("tcp_keepalive", "tcpKeepalive", "", 0),
        )
    ),
    *(
        Feature(f"security.{room}", f"SecurityPolicy.spec.{field}", _SECURITY_POLICY, filter, order, read_by=read_by)
        for room, field, filter, order, read_by in (
            ("cors", "cors", "envoy.filters.http.cors", 3, ("route.cors",)),
            ("csrf", "csrf", "envoy.filters.http.csrf", 4, ()),
            ("ext_auth", "extAuth", "envoy.filters.http.ext_authz", 6, ()),
            ("api_key_auth", "apiKeyAuth", "envoy.filters.http.api_key_auth", 7, ()),
            ("basic_auth", "basicAuth", "envoy.filters.http.basic_auth", 8, ()),
            ("oidc", "oidc", "envoy.filters.http.oauth2", 9, ()),
            ("jwt", "jwt", "envoy.filters.http.jwt_authn", 10, ("security.oidc", "security.authorization")),
            ("authorization", "authorization", "envoy.filters.http.rbac", 301, ()),
        )
    ),
    *(
        Feature(f"extension.{room}", f"EnvoyExtensionPolicy.spec.{field}", _EXTENSION_POLICY, filter, order)
        for room, field, filter, order in (
            ("lua", "lua", "envoy.filters.http.lua", 13),
            ("ext_proc", "extProc", "envoy.filters.http.ext_proc", 100),
            ("wasm", "wasm", "envoy.filters.http.wasm", 200),
            ("dynamic_module", "dynamicModule", "envoy.filters.http.dynamic_modules", 250),
        )
    ),
)
