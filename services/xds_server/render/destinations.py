"""What a destination becomes: one cluster, or one for each of its settings where they cannot share one."""

from __future__ import annotations

from typing import NamedTuple

from services.xds_server.render.tls import tls_needs, upstream_socket
from services.xds_server.render.types import CLUSTER, ENDPOINT, Need, Rendered, rendered
from shared.features.parts.xds_values import duration, given, metadata, wrapped
from shared.ir.assemble import weights
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.gateway import Metrics
from shared.ir.metadata import ResourceMetadata
from shared.xds.message import Fields, pack

BUFFER_LIMIT = 32768
MAX_RETRIES = 1024
CONNECT_TIMEOUT = "10s"
DNS_REFRESH = "30s"
HTTP2_STREAM_WINDOW = 65536
HTTP2_CONNECTION_WINDOW = 1048576
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_LB = "envoy.extensions.load_balancing_policies"
_HTTP2: Fields = {
    "initial_stream_window_size": wrapped(HTTP2_STREAM_WINDOW),
    "initial_connection_window_size": wrapped(HTTP2_CONNECTION_WINDOW),
}


class ClusterPlan(NamedTuple):
    """One cluster to be: its name, and the settings that share it."""

    name: str
    settings: tuple[DestinationSetting, ...]
    metadata: ResourceMetadata | None
    stat_name: str | None = None
    use_client_protocol: bool = False
    prefer_local: bool = False


def per_setting(destination: Destination) -> bool:
    """Whether each setting needs a cluster of its own: mixed address types or protocols, filters, requests that must fail."""
    settings = destination.settings
    split = weights(destination)
    kinds = {s.address_type for s in settings if s.address_type is not None}
    protocols = {s.protocol for s in settings}
    auto_sni = [s for s in settings if s.tls is not None and s.tls.auto_sni_from_endpoint_hostname]
    return bool(
        split.invalid
        or split.no_endpoints
        or "Mixed" in kinds
        or ("FQDN" in kinds and len(kinds) > 1)
        or any(s.filters is not None for s in settings)
        or (len(settings) > 1 and any(s.prefer_local is not None for s in settings))
        or (any(s.force_http1_upstream for s in settings) and protocols & {"HTTP2", "GRPC"})
        or (auto_sni and len(auto_sni) != len(settings))
    )


def plans(destination: Destination, use_client_protocol: bool = False) -> tuple[ClusterPlan, ...]:
    """The clusters of a route's destination."""
    common = (destination.metadata, destination.stat_name, use_client_protocol)
    if per_setting(destination):
        return tuple(ClusterPlan(s.name, (s,), *common) for s in destination.settings)
    return (ClusterPlan(destination.name, destination.settings, *common),)


def is_dns(plan: ClusterPlan) -> bool:
    return bool(plan.settings) and plan.settings[0].address_type == "FQDN"


def is_dynamic(plan: ClusterPlan) -> bool:
    return bool(plan.settings) and plan.settings[0].is_dynamic_resolver


def uses_eds(plan: ClusterPlan) -> bool:
    return not is_dns(plan) and not is_dynamic(plan)


def tls_match(cluster: str, at: int) -> str:
    """What an endpoint of the setting at that place carries so that Envoy picks the setting's TLS for it."""
    return f"{cluster}/tls/{at}"


def cluster(plan: ClusterPlan, metrics: Metrics | None, assignment: Fields | None = None) -> Rendered:
    """The Cluster resource; `assignment` is its ClusterLoadAssignment where names are resolved by DNS."""
    tls = [s.tls for s in plan.settings if s.tls is not None]
    all_tls = bool(plan.settings) and len(tls) == len(plan.settings)
    auto_http = all_tls and not any(s.protocol == "TCP" for s in plan.settings)
    literal = any(t.sni is not None for t in tls)
    auto_sni = auto_http and not literal and not any(t.sni is None and t.auto_sni_from_endpoint_hostname for t in tls)
    fields: Fields = given(
        {
            "name": plan.name,
            "alt_stat_name": plan.stat_name,
            "dns_lookup_family": "V4_PREFERRED",
            "common_lb_config": {},
            "per_connection_buffer_limit_bytes": wrapped(BUFFER_LIMIT),
            "metadata": metadata(plan.metadata),
            "connect_timeout": duration(CONNECT_TIMEOUT),
            "ignore_health_on_host_removal": True,
            "track_cluster_stats": _tracked(metrics),
            "load_balancing_policy": _lb_policy(plan),
            "circuit_breakers": {"thresholds": [{"max_retries": wrapped(MAX_RETRIES)}]},
        }
    )
    needs: list[Need] = [n for t in tls for n in tls_needs(t)]
    fields |= _sockets(plan, auto_sni=auto_sni, auto_http=auto_http)
    fields |= _protocol_options(plan, auto_http=auto_http, auto_sni=auto_sni)
    fields |= _discovery(plan, assignment)
    if uses_eds(plan):
        needs.append((ENDPOINT, plan.name))
    return rendered(CLUSTER, fields, tuple(needs))


def _tracked(metrics: Metrics | None) -> Fields | None:
    if metrics is None or not (metrics.enable_per_endpoint_stats or metrics.enable_request_response_sizes_stats):
        return None
    return {
        "per_endpoint_stats": metrics.enable_per_endpoint_stats,
        "request_response_sizes": metrics.enable_request_response_sizes_stats,
    }


def _lb_policy(plan: ClusterPlan) -> Fields:
    if is_dynamic(plan):
        return _policy("cluster_provided", pack(f"{_LB}.cluster_provided.v3.ClusterProvided"))
    locality: Fields = {"locality_weighted_lb_config": {}}
    if plan.prefer_local:
        locality = {"zone_aware_lb_config": {"min_cluster_size": wrapped(1)}}
    elif len(plan.settings) == 1 and plan.settings[0].prefer_local is not None:
        prefer = plan.settings[0].prefer_local
        zone: Fields = {"min_cluster_size": wrapped(6 if prefer.min_endpoints_threshold is None else prefer.min_endpoints_threshold)}
        if prefer.percentage_enabled is not None:
            zone["routing_enabled"] = {"value": prefer.percentage_enabled}
        if prefer.force is not None:
            least = prefer.force.min_endpoints_in_zone_threshold
            zone["force_local_zone"] = {"min_size": wrapped(1 if least is None else least)}
        locality = {"zone_aware_lb_config": zone}
    return _policy("least_request", pack(f"{_LB}.least_request.v3.LeastRequest", {"locality_lb_config": locality}))


def _policy(name: str, config: Fields) -> Fields:
    return {"policies": [{"typed_extension_config": {"name": f"envoy.load_balancing_policies.{name}", "typed_config": config}}]}


def _sockets(plan: ClusterPlan, *, auto_sni: bool, auto_http: bool) -> Fields:
    dynamic = is_dynamic(plan)
    sockets = [(i, upstream_socket(s.tls, auto_sni=auto_sni, dynamic=dynamic)) for i, s in enumerate(plan.settings) if s.tls is not None]
    out: Fields = {}
    if dynamic and sockets:
        out["transport_socket"] = sockets[0][1]
    elif sockets:
        out["transport_socket_matches"] = [
            {"name": tls_match(plan.name, i), "match": {"name": tls_match(plan.name, i)}, "transport_socket": s} for i, s in sockets
        ]
    if auto_http and "transport_socket" not in out:
        # Envoy wants a TLS socket on a cluster that picks HTTP/1 or 2 by ALPN; the matches above decide in its place
        context = pack("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {"common_tls_context": {}})
        out["transport_socket"] = {"name": "dummy.transport_socket", "typed_config": context}
    return out


def _protocol_options(plan: ClusterPlan, *, auto_http: bool, auto_sni: bool) -> Fields:
    http2 = any(s.protocol in ("GRPC", "HTTP2") for s in plan.settings)
    http1 = any(s.force_http1_upstream for s in plan.settings)
    if not (plan.use_client_protocol or auto_http or http2 or http1):
        return {}
    both: Fields = {"http_protocol_options": {}, "http2_protocol_options": _HTTP2}
    options: Fields
    if plan.use_client_protocol:
        options = {"use_downstream_protocol_config": both}
    elif http1:
        options = {"explicit_http_config": {"http_protocol_options": {}}}
    elif http2:
        options = {"explicit_http_config": {"http2_protocol_options": _HTTP2}}
    else:
        options = {"auto_config": both}
    if is_dynamic(plan):
        options["upstream_http_protocol_options"] = {"auto_sni": True, "auto_san_validation": True}
    elif auto_sni:
        options["upstream_http_protocol_options"] = {"auto_sni": True}
    return {"typed_extension_protocol_options": {_HTTP_OPTIONS: pack(_HTTP_OPTIONS, options)}}


def _discovery(plan: ClusterPlan, assignment: Fields | None) -> Fields:
    if is_dynamic(plan):
        cache: Fields = {
            "name": "envoy-gateway-dfp-cache-v4_preferred-30000ms-default",
            "dns_lookup_family": "V4_PREFERRED",
            "dns_refresh_rate": duration(DNS_REFRESH),
        }
        config = pack("envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig", {"dns_cache_config": cache})
        return {"cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": config}}
    if is_dns(plan):
        dns: Fields = {"dns_refresh_rate": duration(DNS_REFRESH), "respect_dns_ttl": True, "dns_lookup_family": "V4_PREFERRED"}
        config = pack("envoy.extensions.clusters.dns.v3.DnsCluster", dns)
        found: Fields = {"cluster_type": {"name": "envoy.cluster.dns", "typed_config": config}}
        return found | ({"load_assignment": assignment} if assignment is not None else {})
    eds: Fields = {"ads": {}, "resource_api_version": "V3"}
    return {"type": "EDS", "eds_cluster_config": {"service_name": plan.name, "eds_config": eds}}
