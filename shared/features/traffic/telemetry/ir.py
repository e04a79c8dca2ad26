"""What of a route's requests is told to whom: spans and statistics, with Envoy Gateway's field names."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import MapEntry


class Share(IR, frozen=True):
    """Of a hundred, unless it says otherwise."""

    numerator: int
    denominator: int | None = None


class LiteralTag(IR, frozen=True):
    value: str = ""


class NamedTag(IR, frozen=True):
    name: str
    default_value: str | None = None


class CustomTag(IR, frozen=True):
    """One of the fields, as `type` says: Literal, Environment or RequestHeader."""

    type: str
    literal: LiteralTag | None = None
    environment: NamedTag | None = None
    request_header: NamedTag | None = None


class CustomTagEntry(IR, frozen=True):
    key: str
    value: CustomTag


class SpanName(IR, frozen=True):
    client: str | None = None
    server: str | None = None


class BackendTracing(IR, frozen=True):
    """What is not given is as the Gateway has it, but of `client_sampling_fraction`, which is none then."""

    sampling_fraction: Share | None = None
    client_sampling_fraction: Share | None = None
    overall_sampling_fraction: Share | None = None
    custom_tags: tuple[CustomTagEntry, ...] = ()
    tags: tuple[MapEntry, ...] = ()
    span_name: SpanName | None = None


class BackendMetrics(IR, frozen=True):
    """`route_stat_name` holds operators that stand for the route's name, namespace and so on."""

    route_stat_name: str | None = None


class BackendTelemetry(IR, frozen=True):
    tracing: BackendTracing | None = None
    metrics: BackendMetrics | None = None
