"""Spans and statistics of routes. A name of statistics may hold some operators, and no others."""

from __future__ import annotations

import re

from shared.api.telemetry import CustomTag, SpanName
from shared.features.parts.faults import Faults
from shared.features.parts.formats import format_fault
from shared.features.traffic.telemetry import ir
from shared.features.traffic.telemetry.spec import BackendTelemetrySpec, BackendTracingSpec, ShareSpec
from shared.ir.match import MapEntry

OPERATORS = ("%ROUTE_NAME%", "%ROUTE_NAMESPACE%", "%ROUTE_KIND%", "%ROUTE_RULE_NAME%")
_OPERATOR = re.compile(r"%[^%]*%")


def translate(spec: BackendTelemetrySpec | None, faults: Faults) -> ir.BackendTelemetry | None:
    if spec is None:
        return None
    name = spec.metrics.route_stat_name if spec.metrics is not None else None
    if name and (fault := _stat_name_fault(name)) is not None:
        faults.inside("Telemetry").add(f"unable to configure Route Stat Name: {fault}")
    for text in _formats(spec.tracing) if spec.tracing is not None else ():
        if (fault := format_fault(text)) is not None:
            faults.inside("Telemetry").add(fault)
    return ir.BackendTelemetry(
        tracing=_tracing(spec.tracing) if spec.tracing is not None else None,
        metrics=ir.BackendMetrics(route_stat_name=name) if spec.metrics is not None else None,
    )


def _stat_name_fault(name: str) -> str | None:
    if unknown := [each for each in _OPERATOR.findall(name) if each not in OPERATORS]:
        return f"unsupported operators: {' '.join(unknown)}"
    return "invalid operator" if "%" in _OPERATOR.sub("", name) else None


def _formats(spec: BackendTracingSpec) -> tuple[str, ...]:
    """What Envoy reads as format strings."""
    name = spec.span_name
    names = (name.client or "", name.server or "") if name is not None else ()
    return (*names, *spec.tags.values())


def _tracing(spec: BackendTracingSpec) -> ir.BackendTracing:
    return ir.BackendTracing(
        sampling_fraction=_share(spec.sampling_fraction),
        client_sampling_fraction=_share(spec.client_sampling_fraction),
        overall_sampling_fraction=_share(spec.overall_sampling_fraction),
        custom_tags=tuple(ir.CustomTagEntry(key=key, value=tag(value)) for key, value in sorted(spec.custom_tags.items())),
        tags=tuple(MapEntry(key=key, value=value) for key, value in sorted(spec.tags.items())),
        span_name=span_name(spec.span_name),
    )


def _share(spec: ShareSpec | None) -> ir.Share | None:
    return ir.Share(numerator=spec.numerator, denominator=spec.denominator) if spec is not None else None


def span_name(spec: SpanName | None) -> ir.SpanName | None:
    return ir.SpanName(client=spec.client, server=spec.server) if spec is not None else None


def tag(spec: CustomTag) -> ir.CustomTag:
    """A tag of spans, of a route or of a whole Gateway."""
    environment, header = spec.environment, spec.request_header
    return ir.CustomTag(
        type=spec.type,
        literal=ir.LiteralTag(value=spec.literal.value) if spec.literal is not None else None,
        environment=ir.NamedTag(name=environment.name, default_value=environment.default_value) if environment is not None else None,
        request_header=ir.NamedTag(name=header.name, default_value=header.default_value) if header is not None else None,
    )
