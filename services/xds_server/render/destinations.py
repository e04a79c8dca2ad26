"""What a destination becomes: one cluster, or one for each of its settings where they cannot share one."""

from __future__ import annotations

from typing import NamedTuple

from services.xds_server.render.tls import own_socket, public_socket, tls_needs, upstream_socket
from services.xds_server.render.types import CLUSTER, ENDPOINT, SECRET, Need, Rendered, rendered
from shared.features.client.http1 import xds as http1_options
from shared.features.client.http1.ir import Http1
from shared.features.extension.wasm import xds as wasm
from shared.features.extension.wasm.ir import ModuleService
from shared.features.parts.external import Service, place
from shared.features.parts.hostname import is_ip
from shared.features.parts.xds_values import given, metadata, wrapped
from shared.features.route.credential_injection import xds as credential_injection
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.traffic.admission_control import xds as admission_control
from shared.features.traffic.backend_connection import xds as backend_connection
from shared.features.traffic.circuit_breaker import xds as circuit_breaker
from shared.features.traffic.dns import xds as dns
from shared.features.traffic.health_check import xds as health_check
from shared.features.traffic.health_check.ir import HealthCheckLog
from shared.features.traffic.http2 import xds as http2_options
from shared.features.traffic.load_balancer import xds as load_balancer
from shared.features.traffic.proxy_protocol import xds as proxy_protocol
from shared.features.traffic.rate_limit import xds as rate_limit
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.features.traffic.tcp_keepalive import xds as tcp_keepalive
from shared.features.traffic.timeout import xds as timeout
from shared.ir.assemble import weights
from shared.ir.destination import AddressType, AppProtocol, Destination, DestinationSetting, Endpoint
from shared.ir.gateway import Metrics
from shared.ir.http import HttpRoute
from shared.ir.metadata import ResourceMetadata
from shared.ir.traffic import ClusterTraffic
from shared.xds.message import Fields, pack

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"


class ClusterPlan(NamedTuple):
    """One cluster to be: its name, and the settings that share it."""

    name: str
    settings: tuple[DestinationSetting, ...]
    metadata: ResourceMetadata | None
    stat_name: str | None = None
    use_client_protocol: bool = False
    traffic: ClusterTraffic = ClusterTraffic()
    hostname: str = ""
    http1: Http1 | None = None
    of_route: bool = True
    prefer_local: bool = False
    public_host: str = ""
    """Where not empty: TLS to the host of that name, which the system's authorities vouch for."""
    hooked: bool = False
    """Whether extension servers may change it; `extensions` are keys of the objects that its route names."""
    extensions: tuple[str, ...] = ()
    identity: str = ""
    """Where not empty: TLS to a service of the control plane, which sees the certificate of that name."""
    authority: str | None = None
    """Who vouches for that service, base64 of PEM; None where the proxy has it as a file."""


def service_plan(service: Service) -> ClusterPlan:
    """The cluster of a service that the proxy itself asks."""
    traffic = service.traffic or ClusterTraffic()
    to = service.destination
    if to is not None and to.settings:
        return ClusterPlan(to.name, to.settings, to.metadata, traffic=traffic, of_route=False)
    at = place(service.url)
    setting = _alone(at.cluster, at.host, at.port)
    return ClusterPlan(at.cluster, (setting,), None, traffic=traffic, of_route=False, public_host=at.host if at.tls else "")


def rate_limit_plan(service: RateLimitService, identity: str) -> ClusterPlan:
    """The cluster of the service that counts requests for all proxies."""
    setting = _alone(rate_limit.CLUSTER, service.host, service.port, "GRPC")
    return ClusterPlan(rate_limit.CLUSTER, (setting,), None, of_route=False, identity=identity)


def module_plan(service: ModuleService, identity: str) -> ClusterPlan:
    """The cluster of the control plane, as the place where modules come from."""
    setting = _alone(wasm.CLUSTER, service.host, service.port, "HTTP2")
    return ClusterPlan(wasm.CLUSTER, (setting,), None, of_route=False, identity=identity, authority=service.authority)


def _alone(cluster: str, host: str, port: int, protocol: AppProtocol | None = None) -> DestinationSetting:
    """The one host of a cluster that no backend stands behind."""
    kind: AddressType = "IP" if is_ip(host) else "FQDN"
    endpoints = (Endpoint(host=host, port=port),)
    return DestinationSetting(name=f"{cluster}/backend/-1", weight=1, protocol=protocol, address_type=kind, endpoints=endpoints)


def per_setting(destination: Destination, zones: bool = False) -> bool:
    """Whether each setting needs a cluster of its own: mixed address types or protocols, filters, requests that must fail."""
    settings = destination.settings
    split = weights(destination)
    kinds = {s.address_type for s in settings if s.address_type is not None}
    protocols = {s.protocol for s in settings}
    auto_sni = [s for s in settings if s.tls is not None and s.tls.auto_sni_from_endpoint_hostname]
    shared = len(destination.backend_cluster_refs)
    return bool(
        (zones and settings)
        or shared + bool(settings) > 1
        or split.invalid
        or split.no_endpoints
        or "Mixed" in kinds
        or ("FQDN" in kinds and len(kinds) > 1)
        or any(s.filters is not None for s in settings)
        or (len(settings) > 1 and any(s.prefer_local is not None for s in settings))
        or (any(s.force_http1_upstream for s in settings) and protocols & {"HTTP2", "GRPC"})
        or (auto_sni and len(auto_sni) != len(settings))
    )


def plans(route: HttpRoute, http1: Http1 | None = None) -> tuple[ClusterPlan, ...]:
    """The clusters of a route's destination; headers go on as the listener's `http1` says."""
    destination = route.destination
    if destination is None or (destination.backend_cluster_refs and not destination.settings):
        return ()
    traffic: ClusterTraffic = route.traffic or ClusterTraffic()
    common = (destination.metadata, destination.stat_name, route.use_client_protocol, traffic, route.hostname, http1)
    if per_setting(destination, load_balancer.splits_zones(traffic.load_balancer)):
        return tuple(ClusterPlan(s.name, (s,), *common) for s in destination.settings)
    return (ClusterPlan(destination.name, destination.settings, *common),)


def injected_by(plan: ClusterPlan) -> CredentialInjection | None:
    """The credential that goes to this backend alone; a backend with filters has a cluster of its own."""
    own = plan.settings[0].filters if plan.settings else None
    return own.credential_injection if own is not None else None


def is_dns(plan: ClusterPlan) -> bool:
    return bool(plan.settings) and plan.settings[0].address_type == "FQDN"


def is_dynamic(plan: ClusterPlan) -> bool:
    return bool(plan.settings) and plan.settings[0].is_dynamic_resolver


def uses_eds(plan: ClusterPlan) -> bool:
    return not is_dns(plan) and not is_dynamic(plan)


def tls_match(cluster: str, at: int) -> str:
    """What an endpoint of the setting at that place carries so that Envoy picks the setting's TLS for it."""
    return f"{cluster}/tls/{at}"


def cluster(
    plan: ClusterPlan, metrics: Metrics | None, assignment: Fields | None = None, health_log: HealthCheckLog | None = None
) -> Rendered:
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
            "dns_lookup_family": dns.family(plan.traffic.dns, None),
            "common_lb_config": {},
            "metadata": metadata(plan.metadata),
            "connect_timeout": timeout.connect(plan.traffic.timeout),
            "ignore_health_on_host_removal": True,
            "track_cluster_stats": _tracked(metrics),
            "load_balancing_policy": _lb_policy(plan),
            "circuit_breakers": circuit_breaker.on_cluster(plan.traffic.circuit_breaker),
        }
    )
    fields |= backend_connection.on_cluster(plan.traffic.backend_connection)
    fields |= tcp_keepalive.on_cluster(plan.traffic.tcp_keepalive)
    fields |= health_check.on_cluster(plan.traffic.health_check, plan.hostname, health_log)
    needs: list[Need] = [n for t in tls for n in tls_needs(t)]
    fields |= _sockets(plan, auto_sni=auto_sni, auto_http=auto_http)
    if plan.public_host:
        fields["transport_socket"] = public_socket(plan.public_host)
    if plan.identity:
        fields["transport_socket"] = own_socket(plan.identity, plan.authority)
        needs.append((SECRET, plan.identity))
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
        return load_balancer.policy("cluster_provided")
    balancer = plan.traffic.load_balancer
    prefer = balancer.prefer_local if balancer is not None else None
    if prefer is None and len(plan.settings) == 1:
        prefer = plan.settings[0].prefer_local
    locality: Fields = {"locality_weighted_lb_config": {}}
    if plan.prefer_local:
        locality = {"zone_aware_lb_config": {"min_cluster_size": wrapped(1)}}
    elif prefer is not None:
        locality = load_balancer.zone_aware(prefer)
    return load_balancer.on_cluster(balancer, locality)


def _sockets(plan: ClusterPlan, *, auto_sni: bool, auto_http: bool) -> Fields:
    dynamic = is_dynamic(plan)
    sockets = [(i, upstream_socket(s.tls, auto_sni=auto_sni, dynamic=dynamic)) for i, s in enumerate(plan.settings) if s.tls is not None]
    out: Fields = {}
    protocol = plan.traffic.proxy_protocol
    if protocol is not None:
        sockets = [(i, proxy_protocol.around(protocol, socket)) for i, socket in sockets]
        out["transport_socket"] = proxy_protocol.around(protocol, _dummy() if auto_http else None)
    if dynamic and sockets:
        out["transport_socket"] = sockets[0][1]
    elif sockets:
        out["transport_socket_matches"] = [
            {"name": tls_match(plan.name, i), "match": {"name": tls_match(plan.name, i)}, "transport_socket": s} for i, s in sockets
        ]
    if auto_http and "transport_socket" not in out:
        # Envoy wants a TLS socket on a cluster that picks HTTP/1 or 2 by ALPN; the matches above decide in its place
        out["transport_socket"] = _dummy()
    return out


def _dummy() -> Fields:
    context = pack("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {"common_tls_context": {}})
    return {"name": "dummy.transport_socket", "typed_config": context}


def _protocol_options(plan: ClusterPlan, *, auto_http: bool, auto_sni: bool) -> Fields:
    http2 = any(s.protocol in ("GRPC", "HTTP2") for s in plan.settings)
    http1 = any(s.force_http1_upstream for s in plan.settings)
    traffic = plan.traffic
    common = timeout.on_connections(traffic.timeout, of_route=plan.of_route) | circuit_breaker.on_connections(traffic.circuit_breaker)
    hashes = load_balancer.hash_policies(traffic.load_balancer.consistent_hash) if traffic.load_balancer and not plan.of_route else []
    for_http1 = http1_options.options(plan.http1)
    filters = _filters(plan)
    if not (plan.use_client_protocol or auto_http or http2 or http1 or common or hashes or for_http1 or filters):
        return {}
    for_http2 = http2_options.options(traffic.http2)
    both: Fields = {"http_protocol_options": for_http1, "http2_protocol_options": for_http2}
    options: Fields
    if plan.use_client_protocol:
        options = {"use_downstream_protocol_config": both}
    elif http1:
        options = {"explicit_http_config": {"http_protocol_options": for_http1}}
    elif http2:
        options = {"explicit_http_config": {"http2_protocol_options": for_http2}}
    elif for_http1:
        options = {"explicit_http_config": {"http_protocol_options": for_http1}}
    elif auto_http:
        options = {"auto_config": both}
    else:
        options = {"explicit_http_config": {"http_protocol_options": {}}}
    options |= ({"common_http_protocol_options": common} if common else {}) | ({"hash_policy": hashes} if hashes else {})
    options |= {"http_filters": filters} if filters else {}
    if is_dynamic(plan):
        options["upstream_http_protocol_options"] = {"auto_sni": True, "auto_san_validation": True}
    elif auto_sni:
        options["upstream_http_protocol_options"] = {"auto_sni": True}
    return {"typed_extension_protocol_options": {_HTTP_OPTIONS: pack(_HTTP_OPTIONS, options)}}


def _filters(plan: ClusterPlan) -> list[Fields]:
    """HTTP filters of the cluster's own; Envoy wants the codec as the last one."""
    injected = injected_by(plan)
    filters = credential_injection.on_cluster(injected) if injected is not None else []
    filters += admission_control.on_cluster(plan.traffic.admission_control)
    return [*filters, {"name": _CODEC, "typed_config": pack(_CODEC)}] if filters else []


def _discovery(plan: ClusterPlan, assignment: Fields | None) -> Fields:
    if is_dynamic(plan):
        cache = dns.cache(plan.traffic.dns, None)
        config = pack("envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig", {"dns_cache_config": cache})
        return {"cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy", "typed_config": config}}
    if is_dns(plan):
        config = pack("envoy.extensions.clusters.dns.v3.DnsCluster", dns.on_cluster(plan.traffic.dns, None))
        found: Fields = {"cluster_type": {"name": "envoy.cluster.dns", "typed_config": config}}
        return found | ({"load_assignment": assignment} if assignment is not None else {})
    eds: Fields = {"ads": {}, "resource_api_version": "V3"}
    return {"type": "EDS", "eds_cluster_config": {"service_name": plan.name, "eds_config": eds}}
