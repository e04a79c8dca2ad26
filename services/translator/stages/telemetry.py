"""Logs, traces and statistics of a fleet, as its EnvoyProxy asks; what it asks that is not supported yet is named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from services.translator.stages.access_logs import access_log, entries
from services.translator.stages.collectors import Telemeter, Unusable, destination, traffic
from services.translator.stages.gateways import gateway_row
from services.translator.stages.proxies import effective, merges_gateways
from shared.api.base import ObjectMeta
from shared.api.envoy import EnvoyProxySpec
from shared.api.telemetry import Fraction, ProxyMetrics, ProxyTracing
from shared.core.refs import ObjectRef
from shared.features.traffic.health_check import translate as health_check
from shared.features.traffic.telemetry.translate import tag
from shared.incremental import Db, query
from shared.ir import telemetry as ir
from shared.ir.gateway import AccessLog, Metrics

UNSUPPORTED = ("spec.lua.strictValidation",)
"""Fields of an EnvoyProxy that have no effect yet."""
_NOT_ON_A_HOST = ("spec.telemetry.metrics.prometheus",)
"""Several proxies share a machine, so none has the port of statistics."""
_WITHOUT_EFFECT = {"backendRef": "spec.telemetry", "backendSettings": "spec.telemetry.metrics"}
"""Fields of collectors that have none, and below which path."""


class Observability(msgspec.Struct, frozen=True):
    """All of a Gateway's telemetry; after a `fault` nothing more is set up, and the Gateway is told."""

    access_log: AccessLog | None = None
    tracing: ir.Tracing | None = None
    metrics: Metrics | None = None
    metric_sinks: tuple[ir.MetricSink, ...] = ()
    health_check_log: ir.HealthCheckLog | None = None
    fault: str | None = None


def unsupported_fields(raw: dict[str, Any], *, on_host: bool) -> tuple[str, ...]:
    """Those of them that an EnvoyProxy object sets, and what it sets of a collector beyond its backends."""
    found = [path for path in (*UNSUPPORTED, *(_NOT_ON_A_HOST if on_host else ())) if _at(raw, path.split(".")) is not None]
    found += _inside(_at(raw, ["spec", "telemetry"]), "spec.telemetry")
    return tuple(found)


def _inside(value: Any, path: str) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        if key in _WITHOUT_EFFECT and path.startswith(_WITHOUT_EFFECT[key]):
            yield f"{path}.{key}"
        yield from _inside(inner, f"{path}.{key}")
    for i, inner in enumerate(value if isinstance(value, list) else ()):
        yield from _inside(inner, f"{path}[{i}]")


def _at(value: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


@query
def observability(db: Db, gateway: ObjectRef) -> Observability:
    """What one Gateway's proxies log, trace and count."""
    found = effective(db, gateway)
    spec = found.spec.telemetry
    raw = found.raw or {}
    meta = raw.get("metadata", {})
    proxy = ObjectMeta(name=meta.get("name", ""), namespace=meta.get("namespace", ""))
    who = Telemeter(gateway, proxy, found.spec.routing_type == "Service")
    done: dict[str, Any] = {}
    what = "access log"
    try:
        done["access_log"] = access_log(db, who, spec.access_log)
        what = "tracing"
        if spec.tracing is not None:
            provider = _at(raw, ["spec", "telemetry", "tracing", "provider"]) or {}
            done["tracing"] = _tracing(db, who, spec.tracing, provider)
        what = "metrics"
        if spec.metrics is not None:
            done["metric_sinks"] = _metric_sinks(db, who, spec.metrics)
            done["metrics"] = _metrics(spec.metrics)
    except Unusable as e:
        return Observability(**done, fault=f"Invalid {what} backendRefs in the referenced EnvoyProxy: {e}")
    return Observability(**done, health_check_log=health_check.log(spec.health_check_log))


def _metrics(found: ProxyMetrics) -> Metrics:
    return Metrics(
        enable_virtual_host_stats=found.enable_virtual_host_stats,
        enable_per_endpoint_stats=found.enable_per_endpoint_stats,
        enable_request_response_sizes_stats=found.enable_request_response_sizes_stats,
    )


def _metric_sinks(db: Db, who: Telemeter, spec: ProxyMetrics) -> tuple[ir.MetricSink, ...]:
    """One sink an address."""
    sinks: dict[tuple[str, int], ir.MetricSink] = {}
    for i, each in enumerate(spec.sinks):
        sink = each.open_telemetry
        if sink is None or not (sink.backend_refs or sink.host):
            continue
        where, authority = destination(db, who, f"metrics_otel_{i}", sink, "GRPC")
        first = where.settings[0].endpoints[0]
        made = ir.MetricSink(
            destination=where,
            authority=authority,
            headers=tuple(ir.HttpHeader(name=h.name, value=h.value) for h in sink.headers),
            resource_attributes=sink.resource_attributes or None,
            report_counters_as_deltas=sink.report_counters_as_deltas,
            report_histograms_as_deltas=sink.report_histograms_as_deltas,
        )
        sinks.setdefault((first.host, first.port), made)
    return tuple(sinks.values())


def _tracing(db: Db, who: Telemeter, spec: ProxyTracing, provider: dict[str, Any]) -> ir.Tracing:
    where, authority = destination(db, who, "tracing", spec.provider, "GRPC" if spec.provider.type == "OpenTelemetry" else None)
    row = gateway_row(db, who.gateway)
    merged = merges_gateways(db, row.spec.gateway_class_name)
    own_name = row.spec.gateway_class_name if merged else f"{who.gateway.name}.{who.gateway.namespace}"
    otel = spec.provider.open_telemetry
    return ir.Tracing(
        service_name=spec.provider.service_name if spec.provider.service_name is not None else own_name,
        authority=authority,
        sampling_rate=float(spec.sampling_rate) if spec.sampling_rate is not None else _percent(spec.sampling_fraction),
        client_sampling_rate=_percent(spec.client_sampling_fraction) if spec.client_sampling_fraction is not None else None,
        overall_sampling_rate=_percent(spec.overall_sampling_fraction) if spec.overall_sampling_fraction is not None else None,
        custom_tags=tuple(ir.CustomTagEntry(key=k, value=tag(spec.custom_tags[k])) for k in sorted(spec.custom_tags)),
        tags=entries(spec.tags),
        resource_attributes=entries(otel.resource_attributes) if otel is not None else (),
        destination=where,
        traffic=traffic(spec.provider),
        provider=provider,
        headers=tuple(ir.HttpHeader(name=h.name, value=h.value) for h in otel.headers) if otel is not None else (),
        span_name=ir.SpanName(client=spec.span_name.client, server=spec.span_name.server) if spec.span_name is not None else None,
    )


def _percent(fraction: Fraction | None) -> float:
    """All of it where nothing is said."""
    if fraction is None:
        return 100.0
    return min(100.0, max(0.0, fraction.numerator * 100 / (fraction.denominator or 100)))


def filter_order(spec: EnvoyProxySpec) -> tuple[ir.FilterPosition, ...]:
    return tuple(ir.FilterPosition(name=f.name, before=f.before, after=f.after) for f in spec.filter_order)
