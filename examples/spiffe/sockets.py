"""What the policy changes in Envoy's clusters: the agent's own, and the TLS of those that lead to backends. Pure."""

from __future__ import annotations

from typing import Any

from examples.spiffe.policy import Policy
from shared.xds.message import TYPE_PREFIX, Fields, build, decode, encode, pack

AGENT = "spire_agent"
_TLS = "envoy.extensions.transport_sockets.tls.v3"
_CONTEXT = f"{_TLS}.UpstreamTlsContext"
_CERTIFICATES = (
    "tls_certificates",
    "tls_certificate_sds_secret_configs",
    "tls_certificate_provider_instance",
    "custom_tls_certificate_selector",
)
_HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def agent(socket: str) -> Any:
    """The cluster by which Envoy asks the agent for certificates."""
    at: Fields = {"endpoint": {"address": {"pipe": {"path": socket}}}}
    fields: Fields = {
        "name": AGENT,
        "type": "STATIC",
        "connect_timeout": {"seconds": 1},
        "load_assignment": {"cluster_name": AGENT, "endpoints": [{"lb_endpoints": [at]}]},
        "typed_extension_protocol_options": {_HTTP: pack(_HTTP, {"explicit_http_config": {"http2_protocol_options": {}}})},
    }
    return build("envoy.config.cluster.v3.Cluster", fields)


def secure(cluster: Any, policy: Policy) -> bool:
    """Changes all TLS of a cluster; False where it has none, and so nothing was changed."""
    every = [cluster.transport_socket, *(m.transport_socket for m in cluster.transport_socket_matches)]
    found = [socket for socket in every if socket.typed_config.type_url == TYPE_PREFIX + _CONTEXT]
    for socket in found:
        socket.typed_config.value = _context(socket.typed_config.value, policy)
    if found:
        _names_do_not_count(cluster)
    return bool(found)


def _context(before: bytes, policy: Policy) -> bytes:
    """With the proxy's certificate and the trust domain's authorities from the agent, in place of all that was there of both."""
    context = decode(_CONTEXT, before)
    context.ClearField("auto_sni_san_validation")
    common = context.common_tls_context
    for field in (*(f.name for f in common.DESCRIPTOR.oneofs_by_name["validation_context_type"].fields), *_CERTIFICATES):
        common.ClearField(field)
    ids = [{"exact": i} for i in policy.backends] or [{"prefix": f"{policy.trust_domain}/"}]
    authorities = {
        "default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": i} for i in ids]},
        "validation_context_sds_secret_config": _from_agent(policy.trust_domain),
    }
    added = {"tls_certificate_sds_secret_configs": [_from_agent(policy.identity)], "combined_validation_context": authorities}
    common.MergeFromString(encode(f"{_TLS}.CommonTlsContext", added))
    made: bytes = context.SerializeToString(deterministic=True)
    return made


_CERTIFICATES = (
    "tls_certificates",
    "tls_certificate_sds_secret_configs",
    "tls_certificate_provider_instance",
    "custom_tls_certificate_selector",
)


def _from_agent(name: str) -> Fields:
    """A secret by its SPIFFE ID: a workload's for its certificate, a trust domain's for its authorities."""
    source = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": AGENT}}],
    }
    return {"name": name, "sds_config": {"api_config_source": source, "resource_api_version": "V3"}}


def _names_do_not_count(cluster: Any) -> None:
    """A backend is known by its SPIFFE ID; its certificate need not have the host's name."""
    options = cluster.typed_extension_protocol_options
    if _HTTP in options:
        http = decode(_HTTP, options[_HTTP].value)
        if http.upstream_http_protocol_options.auto_san_validation:
            http.upstream_http_protocol_options.auto_san_validation = False
            options[_HTTP].value = http.SerializeToString(deterministic=True)
