"""How requests are spread over a backend's endpoints, as a BackendTrafficPolicy writes it; durations as Go writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import Spec


class SlowStartSpec(Spec, frozen=True):
    window: str | None = None


class NamedSpec(Spec, frozen=True):
    name: str


class HashCookieSpec(Spec, frozen=True):
    name: str
    ttl: str | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class ConsistentHashSpec(Spec, frozen=True):
    """`type` is SourceIP, Header, Headers, Cookie or QueryParams."""

    type: str = ""
    header: NamedSpec | None = None
    headers: tuple[NamedSpec, ...] = ()
    cookie: HashCookieSpec | None = None
    query_params: tuple[NamedSpec, ...] = ()
    table_size: int | None = None


class OutOfBandSpec(Spec, frozen=True):
    reporting_period: str | None = None
    port: int | None = None
    authority: str | None = None


class BackendUtilizationSpec(Spec, frozen=True):
    blackout_period: str | None = None
    weight_expiration_period: str | None = None
    weight_update_period: str | None = None
    error_utilization_penalty_percent: int | None = None
    metric_names_for_computing_utilization: tuple[str, ...] = ()
    keep_response_headers: bool = False
    out_of_band: OutOfBandSpec | None = None


class ForceLocalSpec(Spec, frozen=True):
    min_endpoints_in_zone_threshold: int | None = None


class PreferLocalSpec(Spec, frozen=True):
    min_endpoints_threshold: int | None = None
    percentage_enabled: int | None = None
    force: ForceLocalSpec | None = None


class WeightedZoneSpec(Spec, frozen=True):
    zone: str
    weight: int


class ZoneAwareSpec(Spec, frozen=True):
    prefer_local: PreferLocalSpec | None = None
    weighted_zones: tuple[WeightedZoneSpec, ...] = ()


class OverrideSourceSpec(Spec, frozen=True):
    header: str | None = None


class EndpointOverrideSpec(Spec, frozen=True):
    extract_from: tuple[OverrideSourceSpec, ...] = ()


class LoadBalancerSpec(Spec, frozen=True):
    """`type` is ConsistentHash, LeastRequest, Random, RoundRobin, BackendUtilization or DynamicModule."""

    type: str
    consistent_hash: ConsistentHashSpec | None = None
    backend_utilization: BackendUtilizationSpec | None = None
    dynamic_module: dict[str, Any] | None = None
    slow_start: SlowStartSpec | None = None
    zone_aware: ZoneAwareSpec | None = None
    endpoint_override: EndpointOverrideSpec | None = None
