"""Load balancing in Envoy: a cluster's load_balancing_policy, and what a route hashes."""

from __future__ import annotations

from shared.features.parts.xds_values import duration, given, nanoseconds, wrapped
from shared.features.traffic.load_balancer.ir import BackendUtilization, ConsistentHash, EndpointOverride, LoadBalancer, SlowStart
from shared.ir.http import HttpRoute
from shared.ir.locality import PreferLocal
from shared.xds.message import Fields, pack

_LB = "envoy.extensions.load_balancing_policies"
_LEAST_ENDPOINTS_FOR_ZONES = 6
# policy's name -> its message
_MESSAGES = {
    "least_request": "LeastRequest",
    "round_robin": "RoundRobin",
    "random": "Random",
    "maglev": "Maglev",
    "client_side_weighted_round_robin": "ClientSideWeightedRoundRobin",
    "cluster_provided": "ClusterProvided",
    "override_host": "OverrideHost",
    "wrr_locality": "WrrLocality",
}


def policy(name: str, config: Fields | None = None) -> Fields:
    """LoadBalancingPolicy of one kind."""
    typed = pack(f"{_LB}.{name}.v3.{_MESSAGES[name]}", config)
    return {"policies": [{"typed_extension_config": {"name": f"envoy.load_balancing_policies.{name}", "typed_config": typed}}]}


def zone_aware(prefer: PreferLocal) -> Fields:
    """LocalityLbConfig that keeps requests in their zone."""
    least = prefer.min_endpoints_threshold
    zone: Fields = {"min_cluster_size": wrapped(_LEAST_ENDPOINTS_FOR_ZONES if least is None else least)}
    if prefer.percentage_enabled is not None:
        zone["routing_enabled"] = {"value": prefer.percentage_enabled}
    if prefer.force is not None:
        in_zone = prefer.force.min_endpoints_in_zone_threshold
        zone["force_local_zone"] = {"min_size": wrapped(1 if in_zone is None else in_zone)}
    return {"zone_aware_lb_config": zone}


def splits_zones(balancer: LoadBalancer | None) -> bool:
    """Whether endpoints stand in their zones, so that weights among backends need clusters of their own."""
    return balancer is not None and (balancer.prefer_local is not None or bool(balancer.weighted_zones))


def on_cluster(balancer: LoadBalancer | None, locality: Fields) -> Fields:
    """The cluster's load_balancing_policy; `locality` is the LocalityLbConfig of the policies that take one."""
    if balancer is None:
        return policy("least_request", {"locality_lb_config": locality})
    if balancer.endpoint_override is not None:
        return _overridden(balancer, balancer.endpoint_override)
    if balancer.consistent_hash is not None:
        size = balancer.consistent_hash.table_size
        weighted: Fields = {"locality_weighted_lb_config": {}} if balancer.weighted_zones else {}
        return policy("maglev", ({"table_size": wrapped(size)} if size is not None else {}) | weighted)
    if balancer.backend_utilization is not None:
        return _by_utilization(balancer, balancer.backend_utilization)
    fields: Fields = {"locality_lb_config": locality}
    if balancer.random is not None:
        return policy("random", fields)
    if balancer.round_robin is not None:
        return policy("round_robin", fields | _slow_start(balancer.round_robin.slow_start))
    start = balancer.least_request.slow_start if balancer.least_request is not None else None
    return policy("least_request", fields | _slow_start(start))


def _slow_start(start: SlowStart | None) -> Fields:
    if start is None or start.window is None:
        return {}
    return {"slow_start_config": {"slow_start_window": duration(start.window)}}


def _by_utilization(balancer: LoadBalancer, of: BackendUtilization) -> Fields:
    spread = policy("client_side_weighted_round_robin", _utilization(of))
    return policy("wrr_locality", {"endpoint_picking_policy": spread}) if balancer.weighted_zones else spread


def _utilization(of: BackendUtilization) -> Fields:
    periods = {
        "blackout_period": of.blackout_period,
        "weight_expiration_period": of.weight_expiration_period,
        "weight_update_period": of.weight_update_period,
    }
    out: Fields = {name: duration(text) for name, text in periods.items() if text is not None and nanoseconds(text) > 0}
    out |= _slow_start(of.slow_start)
    if of.error_utilization_penalty_percent is not None:
        out["error_utilization_penalty"] = wrapped(of.error_utilization_penalty_percent / 100)
    if of.metric_names_for_computing_utilization:
        out["metric_names_for_computing_utilization"] = list(of.metric_names_for_computing_utilization)
    reports = of.out_of_band
    if reports is not None:
        out["enable_oob_load_report"] = wrapped(True)
        if reports.reporting_period is not None:
            out["oob_reporting_period"] = duration(reports.reporting_period)
        asked = given({"port_value": reports.port, "authority": reports.authority})
        out |= {"oob_reporting_config": asked} if asked else {}
    return out


def _overridden(balancer: LoadBalancer, override: EndpointOverride) -> Fields:
    """The endpoint that a header names; if it is not there, the policy that is set."""
    if balancer.backend_utilization is not None:
        fallback = _by_utilization(balancer, balancer.backend_utilization)
    else:
        kinds = {"round_robin": balancer.round_robin, "random": balancer.random, "maglev": balancer.consistent_hash}
        fallback = policy(next((name for name, found in kinds.items() if found is not None), "least_request"))
    sources = [given({"header": source.header}) for source in override.extract_from]
    return policy("override_host", {"override_host_sources": sources, "fallback_policy": fallback})


def on_action(route: HttpRoute) -> Fields:
    """Fields of the RouteAction."""
    balancer = route.traffic.load_balancer if route.traffic is not None else None
    policies = hash_policies(balancer.consistent_hash) if balancer is not None else []
    return {"hash_policy": policies} if policies else {}


def hash_policies(of: ConsistentHash | None) -> list[Fields]:
    """HashPolicies of a RouteAction."""
    if of is None:
        return []
    if of.headers:
        return [{"header": {"header_name": h.name}} for h in of.headers]
    if of.cookie is not None:
        cookie: Fields = {"name": of.cookie.name}
        if of.cookie.ttl is not None:
            cookie["ttl"] = duration(of.cookie.ttl)
        if of.cookie.attributes:
            cookie["attributes"] = [{"name": k, "value": v} for k, v in sorted(of.cookie.attributes.items())]
        return [{"cookie": cookie}]
    if of.source_ip is not None:
        return [{"connection_properties": {"source_ip": True}}] if of.source_ip else []
    return [{"query_parameter": {"name": q.name}} for q in of.query_params]


def tcp_hash_policies(balancer: LoadBalancer | None) -> list[Fields]:
    """HashPolicies of a TCP proxy, which knows nothing but the client's address."""
    of = balancer.consistent_hash if balancer is not None else None
    return [{"source_ip": {}}] if of is not None and of.source_ip else []
