"""Spans and statistics of routes, as a BackendTrafficPolicy writes them."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec
from shared.api.telemetry import CustomTag, SpanName


class ShareSpec(Spec, frozen=True):
    numerator: int
    denominator: int | None = None


class BackendTracingSpec(Spec, frozen=True):
    sampling_fraction: ShareSpec | None = None
    client_sampling_fraction: ShareSpec | None = None
    overall_sampling_fraction: ShareSpec | None = None
    custom_tags: dict[str, CustomTag] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    span_name: SpanName | None = None


class BackendMetricsSpec(Spec, frozen=True):
    route_stat_name: str | None = None


class BackendTelemetrySpec(Spec, frozen=True):
    tracing: BackendTracingSpec | None = None
    metrics: BackendMetricsSpec | None = None
