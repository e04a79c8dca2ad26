"""What an EnvoyProxy asks of logs, traces and statistics."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec
from shared.api.gateway import BackendObjectReference
from shared.features.parts.backend_settings_spec import BackendSettingsSpec
from shared.features.parts.header_spec import HttpHeader
from shared.features.traffic.health_check.spec import HealthCheckLogSpec


class Collector(Spec, frozen=True):
    """Where telemetry is sent, and how the service there is spoken to. The single `backend_ref` has no effect."""

    backend_refs: tuple[BackendObjectReference, ...] = ()
    backend_settings: BackendSettingsSpec | None = None


class HostCollector(Collector, frozen=True):
    """`host` and `port` count where there are no backends."""

    host: str | None = None
    port: int = 4317


class FileSink(Spec, frozen=True):
    path: str


class AlsHttp(Spec, frozen=True):
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()


class AlsSink(Collector, frozen=True):
    type: str = "HTTP"
    log_name: str | None = None
    http: AlsHttp | None = None


class OpenTelemetrySink(HostCollector, frozen=True):
    """`resources` is the older name of `resource_attributes`."""

    resources: dict[str, str] = msgspec.field(default_factory=dict)
    resource_attributes: dict[str, str] | None = None
    headers: tuple[HttpHeader, ...] = ()


class AccessLogSink(Spec, frozen=True):
    type: str
    file: FileSink | None = None
    als: AlsSink | None = None
    open_telemetry: OpenTelemetrySink | None = None


class AccessLogFormat(Spec, frozen=True):
    type: str | None = None
    text: str | None = None
    json: dict[str, str] = msgspec.field(default_factory=dict)


class AccessLogSetting(Spec, frozen=True):
    format: AccessLogFormat | None = None
    matches: tuple[str, ...] = ()
    sinks: tuple[AccessLogSink, ...] = ()
    type: str | None = None


class ProxyAccessLog(Spec, frozen=True):
    disable: bool = False
    settings: tuple[AccessLogSetting, ...] = ()


class OpenTelemetryMetrics(HostCollector, frozen=True):
    headers: tuple[HttpHeader, ...] = ()
    resource_attributes: dict[str, str] = msgspec.field(default_factory=dict)
    report_counters_as_deltas: bool = False
    report_histograms_as_deltas: bool = False


class MetricSink(Spec, frozen=True):
    open_telemetry: OpenTelemetryMetrics | None = None


class ProxyMetrics(Spec, frozen=True):
    enable_virtual_host_stats: bool = False
    enable_per_endpoint_stats: bool = False
    enable_request_response_sizes_stats: bool = False
    cluster_stat_name: str | None = None
    enable_grpc_stats: bool | None = msgspec.field(default=None, name="enableGRPCStats")
    sinks: tuple[MetricSink, ...] = ()


class Fraction(Spec, frozen=True):
    numerator: int
    denominator: int = 100


class Literal(Spec, frozen=True):
    value: str = ""


class NamedSource(Spec, frozen=True):
    name: str
    default_value: str | None = None


class CustomTag(Spec, frozen=True):
    """One of the fields, as `type` says."""

    type: str = "Literal"
    literal: Literal | None = None
    environment: NamedSource | None = None
    request_header: NamedSource | None = None


class SpanName(Spec, frozen=True):
    client: str | None = None
    server: str | None = None


class OpenTelemetryTracing(Spec, frozen=True):
    headers: tuple[HttpHeader, ...] = ()
    resource_attributes: dict[str, str] = msgspec.field(default_factory=dict)


class TracingProvider(HostCollector, frozen=True):
    type: str = "OpenTelemetry"
    service_name: str | None = None
    open_telemetry: OpenTelemetryTracing | None = None


class ProxyTracing(Spec, frozen=True):
    provider: TracingProvider = TracingProvider()
    sampling_rate: int | None = None
    sampling_fraction: Fraction | None = None
    client_sampling_fraction: Fraction | None = None
    overall_sampling_fraction: Fraction | None = None
    custom_tags: dict[str, CustomTag] = msgspec.field(default_factory=dict)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    span_name: SpanName | None = None


class RequestId(Spec, frozen=True):
    tracing: str | None = None


class ProxyTelemetry(Spec, frozen=True):
    access_log: ProxyAccessLog | None = None
    metrics: ProxyMetrics | None = None
    tracing: ProxyTracing | None = None
    health_check_log: HealthCheckLogSpec | None = None
    request_id: RequestId | None = msgspec.field(default=None, name="requestID")
