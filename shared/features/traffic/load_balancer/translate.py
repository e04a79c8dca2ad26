"""Load balancing: one policy by its name, then what may be said of every policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from shared.features.parts.faults import Faults
from shared.features.traffic.load_balancer import ir
from shared.features.traffic.load_balancer.spec import (
    BackendUtilizationSpec,
    ConsistentHashSpec,
    LoadBalancerSpec,
    OutOfBandSpec,
    PreferLocalSpec,
)
from shared.ir.locality import ForceLocal, PreferLocal

LARGEST_TABLE = 5000011


def translate(spec: LoadBalancerSpec | None, faults: Faults) -> ir.LoadBalancer | None:
    if spec is None:
        return None
    here = faults.inside("LoadBalancer")
    if spec.type not in _TYPES:
        here.add(f"type {spec.type} is not supported")
        return None
    found = _TYPES[spec.type](spec, here)
    if found is None:
        return None
    zones, override = spec.zone_aware, spec.endpoint_override
    return replace(
        found,
        prefer_local=_prefer_local(zones.prefer_local) if zones is not None and zones.prefer_local is not None else None,
        weighted_zones=tuple(ir.WeightedZone(zone=z.zone, weight=z.weight) for z in zones.weighted_zones) if zones is not None else (),
        endpoint_override=(
            ir.EndpointOverride(extract_from=tuple(ir.OverrideSource(header=s.header) for s in override.extract_from))
            if override is not None
            else None
        ),
    )


def _slow_start(spec: LoadBalancerSpec, faults: Faults) -> ir.SlowStart | None:
    window = faults.duration("SlowStart.Window", spec.slow_start.window) if spec.slow_start is not None else None
    return ir.SlowStart(window=window) if window is not None else None


def _least_request(spec: LoadBalancerSpec, faults: Faults) -> ir.LoadBalancer:
    return ir.LoadBalancer(least_request=ir.LeastRequest(slow_start=_slow_start(spec, faults)))


def _round_robin(spec: LoadBalancerSpec, faults: Faults) -> ir.LoadBalancer:
    return ir.LoadBalancer(round_robin=ir.RoundRobin(slow_start=_slow_start(spec, faults)))


def _random(spec: LoadBalancerSpec, faults: Faults) -> ir.LoadBalancer:
    del spec, faults
    return ir.LoadBalancer(random=ir.Random())


def _by_utilization(spec: LoadBalancerSpec, faults: Faults) -> ir.LoadBalancer:
    of = spec.backend_utilization
    found = _utilization(of, faults) if of is not None else ir.BackendUtilization()
    return ir.LoadBalancer(backend_utilization=replace(found, slow_start=_slow_start(spec, faults)))


def _by_hash(spec: LoadBalancerSpec, faults: Faults) -> ir.LoadBalancer | None:
    here = faults.inside("ConsistentHash")
    if spec.consistent_hash is None:
        here.add("the consistentHash field must be set")
        return None
    hashed = _hash(spec.consistent_hash, here)
    return ir.LoadBalancer(consistent_hash=hashed) if hashed is not None else None


_TYPES: Mapping[str, Callable[[LoadBalancerSpec, Faults], ir.LoadBalancer | None]] = {
    "ConsistentHash": _by_hash,
    "LeastRequest": _least_request,
    "Random": _random,
    "RoundRobin": _round_robin,
    "BackendUtilization": _by_utilization,
}


def _hash(spec: ConsistentHashSpec, faults: Faults) -> ir.ConsistentHash | None:
    size = spec.table_size
    if size is not None and not (size <= LARGEST_TABLE and _is_prime(size)):
        faults.add(f"invalid TableSize value {size}")
        return None
    out = ir.ConsistentHash(table_size=size)
    if spec.type == "SourceIP":
        return replace(out, source_ip=True)
    if spec.type == "Header" and spec.header is not None:
        return replace(out, headers=(ir.Named(name=spec.header.name),))
    if spec.type == "Headers":
        return replace(out, headers=tuple(ir.Named(name=h.name) for h in spec.headers))
    if spec.type == "Cookie" and spec.cookie is not None:
        ttl = faults.as_written("Cookie.TTL", spec.cookie.ttl)
        return replace(out, cookie=ir.HashCookie(name=spec.cookie.name, ttl=ttl, attributes=spec.cookie.attributes))
    if spec.type == "QueryParams":
        return replace(out, query_params=tuple(ir.Named(name=q.name) for q in spec.query_params))
    faults.add(f"type {spec.type} is not supported, or its field is not set")
    return None


def _is_prime(number: int) -> bool:
    """Of small numbers, as tables are."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _utilization(spec: BackendUtilizationSpec, faults: Faults) -> ir.BackendUtilization:
    return ir.BackendUtilization(
        blackout_period=faults.duration("BlackoutPeriod", spec.blackout_period),
        weight_expiration_period=faults.duration("WeightExpirationPeriod", spec.weight_expiration_period),
        weight_update_period=faults.duration("WeightUpdatePeriod", spec.weight_update_period),
        error_utilization_penalty_percent=spec.error_utilization_penalty_percent,
        metric_names_for_computing_utilization=spec.metric_names_for_computing_utilization,
        keep_response_headers=spec.keep_response_headers,
        out_of_band=_out_of_band(spec.out_of_band, faults) if spec.out_of_band is not None else None,
    )


def _out_of_band(spec: OutOfBandSpec, faults: Faults) -> ir.OutOfBand:
    period = faults.duration("OutOfBand ReportingPeriod", spec.reporting_period)
    return ir.OutOfBand(reporting_period=period, port=spec.port, authority=spec.authority)


def _prefer_local(spec: PreferLocalSpec) -> PreferLocal:
    force = spec.force
    return PreferLocal(
        min_endpoints_threshold=spec.min_endpoints_threshold,
        percentage_enabled=spec.percentage_enabled,
        force=ForceLocal(min_endpoints_in_zone_threshold=force.min_endpoints_in_zone_threshold) if force is not None else None,
    )
