"""Tracing of a connection manager: to whom spans go, which requests have some, what they are called and tagged with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.features.parts.xds_values import Unrenderable, given, wrapped
from shared.features.traffic.telemetry.xds import tags
from shared.ir.telemetry import HttpHeader, Tracing
from shared.xds.message import Fields, pack

_CONFIG = "envoy.config.trace.v3"
_OTEL = "envoy.extensions.tracers.opentelemetry"
_SAMPLERS = "envoy.tracers.opentelemetry.samplers"
_DENOMINATORS = {100: "HUNDRED", 10_000: "TEN_THOUSAND", 1_000_000: "MILLION"}


def tracing(of: Tracing | None) -> Fields | None:
    """HttpConnectionManager.Tracing."""
    if of is None:
        return None
    kind = of.provider.get("type", "")
    if kind not in _PROVIDERS:
        raise Unrenderable(f"tracing: there is no provider {kind!r}")
    name, config = _PROVIDERS[kind](of)
    # where a sampler decides, everything has to reach it
    sampled = 100 if _sampler_of(of) is not None else of.sampling_rate
    return given(
        {
            "client_sampling": {"value": of.client_sampling_rate or 0},
            "overall_sampling": {"value": 100 if of.overall_sampling_rate is None else of.overall_sampling_rate},
            "random_sampling": {"value": sampled},
            "provider": {"name": name, "typed_config": config},
            "custom_tags": tags(of.custom_tags, of.tags) or None,
            "spawn_upstream_span": wrapped(True),
            "operation": of.span_name.client if of.span_name is not None else None,
            "upstream_operation": of.span_name.server if of.span_name is not None else None,
        }
    )


def initial_metadata(headers: tuple[HttpHeader, ...]) -> list[Fields]:
    """Headers of a gRPC service's calls."""
    return [{"key": h.name, "value": h.value} for h in headers]


def _datadog(of: Tracing) -> tuple[str, Fields]:
    config = {"service_name": of.service_name, "collector_cluster": of.destination.name}
    return "envoy.tracers.datadog", pack(f"{_CONFIG}.DatadogConfig", config)


def _zipkin(of: Tracing) -> tuple[str, Fields]:
    own = of.provider.get("zipkin") or {}
    config = {
        "collector_cluster": of.destination.name,
        "collector_endpoint": "/api/v2/spans",
        "trace_id_128bit": bool(own.get("enable128BitTraceId")),
        "shared_span_context": wrapped(not own.get("disableSharedSpanContext")),
        "collector_endpoint_version": "HTTP_JSON",
    }
    return "envoy.traces.zipkin", pack(f"{_CONFIG}.ZipkinConfig", config)


def _open_telemetry(of: Tracing) -> tuple[str, Fields]:
    service: Fields = {"envoy_grpc": {"cluster_name": of.destination.name, "authority": of.authority}}
    if of.headers:
        service["initial_metadata"] = initial_metadata(of.headers)
    config: Fields = {"grpc_service": service, "service_name": of.service_name}
    if of.resource_attributes:
        attributes = {e.key: e.value for e in of.resource_attributes}
        detector = pack(f"{_OTEL}.resource_detectors.v3.StaticConfigResourceDetectorConfig", {"attributes": attributes})
        name = "envoy.tracers.opentelemetry.resource_detectors.static_config"
        config["resource_detectors"] = [{"name": name, "typed_config": detector}]
    sampler = _sampler_of(of)
    if sampler is not None:
        config["sampler"] = _sampler(sampler)
    return "envoy.tracers.opentelemetry", pack(f"{_CONFIG}.OpenTelemetryConfig", config)


_PROVIDERS: Mapping[str, Callable[[Tracing], tuple[str, Fields]]] = {
    "Datadog": _datadog,
    "OpenTelemetry": _open_telemetry,
    "Zipkin": _zipkin,
}


def _sampler_of(of: Tracing) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = (of.provider.get("openTelemetry") or {}).get("sampler")
    return found


def _sampler(of: Mapping[str, Any]) -> Fields:
    kind = str(of.get("type", ""))
    inner = kind.removeprefix("ParentBased")
    made = _always_on() if inner == "AlwaysOn" else _ratio({"numerator": 0} if inner == "AlwaysOff" else of.get("samplingPercentage"))
    if inner == kind:
        return made
    config = pack(f"{_OTEL}.samplers.v3.ParentBasedSamplerConfig", {"wrapped_sampler": made})
    return {"name": f"{_SAMPLERS}.parent_based", "typed_config": config}


def _always_on() -> Fields:
    return {"name": f"{_SAMPLERS}.always_on", "typed_config": pack(f"{_OTEL}.samplers.v3.AlwaysOnSamplerConfig")}


def _ratio(fraction: Mapping[str, int] | None) -> Fields:
    share: Fields = {"numerator": 100, "denominator": "HUNDRED"}
    if fraction is not None:
        of, per = fraction.get("numerator", 0), fraction.get("denominator") or 100
        share = {"numerator": of, "denominator": _DENOMINATORS[per]} if per in _DENOMINATORS else {}
        share = share or {"numerator": of * 1_000_000 // per, "denominator": "MILLION"}
    config = pack(f"{_OTEL}.samplers.v3.TraceIdRatioBasedSamplerConfig", {"sampling_percentage": share})
    return {"name": f"{_SAMPLERS}.trace_id_ratio_based", "typed_config": config}
