"""Telemetry that leaves the proxy over the network, with the field names of Envoy Gateway v1.9's IR."""

from __future__ import annotations

from typing import Any

from shared.features.traffic.health_check.ir import HealthCheckLog as HealthCheckLog
from shared.features.traffic.health_check.ir import HealthCheckLogFile as HealthCheckLogFile
from shared.features.traffic.telemetry.ir import CustomTag as CustomTag
from shared.features.traffic.telemetry.ir import CustomTagEntry as CustomTagEntry
from shared.features.traffic.telemetry.ir import LiteralTag as LiteralTag
from shared.features.traffic.telemetry.ir import NamedTag as NamedTag
from shared.features.traffic.telemetry.ir import SpanName as SpanName
from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.match import MapEntry
from shared.ir.traffic import ClusterTraffic


class HttpHeader(IR, frozen=True):
    name: str
    value: str = ""


class AlsHttp(IR, frozen=True):
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    response_trailers: tuple[str, ...] = ()


class AlsAccessLog(IR, frozen=True):
    """Envoy's own access log service over gRPC; `type` is HTTP or TCP."""

    destination: Destination
    name: str = ""
    type: str = "HTTP"
    text: str | None = None
    attributes: tuple[MapEntry, ...] = ()
    http: AlsHttp | None = None
    cel_matches: tuple[str, ...] = ()
    log_type: str | None = None
    traffic: ClusterTraffic | None = None


class OpenTelemetryAccessLog(IR, frozen=True):
    destination: Destination
    authority: str = ""
    text: str | None = None
    attributes: tuple[MapEntry, ...] = ()
    resource_attributes: tuple[MapEntry, ...] = ()
    headers: tuple[HttpHeader, ...] = ()
    cel_matches: tuple[str, ...] = ()
    log_type: str | None = None
    traffic: ClusterTraffic | None = None


class Tracing(IR, frozen=True):
    """Rates are percentages (0 to 100). `provider` is the EnvoyProxy's field as it was written."""

    service_name: str
    provider: dict[str, Any]
    destination: Destination
    authority: str = ""
    sampling_rate: float = 0
    client_sampling_rate: float | None = None
    overall_sampling_rate: float | None = None
    custom_tags: tuple[CustomTagEntry, ...] = ()
    tags: tuple[MapEntry, ...] = ()
    resource_attributes: tuple[MapEntry, ...] = ()
    headers: tuple[HttpHeader, ...] = ()
    span_name: SpanName | None = None
    traffic: ClusterTraffic | None = None


class MetricSink(IR, frozen=True):
    """Where a proxy sends its statistics; part of its bootstrap."""

    destination: Destination
    authority: str = ""
    headers: tuple[HttpHeader, ...] = ()
    resource_attributes: dict[str, str] | None = None
    report_counters_as_deltas: bool = False
    report_histograms_as_deltas: bool = False


class FilterPosition(IR, frozen=True):
    name: str
    before: str | None = None
    after: str | None = None
