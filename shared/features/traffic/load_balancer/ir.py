"""How a cluster spreads requests over its endpoints, with Envoy Gateway's field names; durations as Go writes them."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR
from shared.ir.locality import PreferLocal


class SlowStart(IR, frozen=True):
    window: str | None = None


class RoundRobin(IR, frozen=True):
    slow_start: SlowStart | None = None


class LeastRequest(IR, frozen=True):
    slow_start: SlowStart | None = None


class Random(IR, frozen=True):
    pass


class Named(IR, frozen=True):
    name: str


class HashCookie(IR, frozen=True):
    name: str
    ttl: str | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class ConsistentHash(IR, frozen=True):
    """One of headers, cookie, source_ip and query_params."""

    source_ip: bool | None = None
    headers: tuple[Named, ...] = ()
    cookie: HashCookie | None = None
    query_params: tuple[Named, ...] = ()
    table_size: int | None = None


class OutOfBand(IR, frozen=True):
    reporting_period: str | None = None
    port: int | None = None
    authority: str | None = None


class BackendUtilization(IR, frozen=True):
    """`keep_response_headers`: clients see the headers in which backends report their load."""

    blackout_period: str | None = None
    weight_expiration_period: str | None = None
    weight_update_period: str | None = None
    slow_start: SlowStart | None = None
    error_utilization_penalty_percent: int | None = None
    metric_names_for_computing_utilization: tuple[str, ...] = ()
    keep_response_headers: bool = False
    out_of_band: OutOfBand | None = None


class WeightedZone(IR, frozen=True):
    zone: str
    weight: int


class OverrideSource(IR, frozen=True):
    header: str | None = None


class EndpointOverride(IR, frozen=True):
    extract_from: tuple[OverrideSource, ...] = ()


class LoadBalancer(IR, frozen=True):
    """One policy; least request where none is set."""

    round_robin: RoundRobin | None = None
    least_request: LeastRequest | None = None
    random: Random | None = None
    consistent_hash: ConsistentHash | None = None
    backend_utilization: BackendUtilization | None = None
    prefer_local: PreferLocal | None = None
    weighted_zones: tuple[WeightedZone, ...] = ()
    endpoint_override: EndpointOverride | None = None
