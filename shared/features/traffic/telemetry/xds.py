"""Spans in Envoy: what a route says of its own, and the tags that routes and Gateways share."""

from __future__ import annotations

from collections.abc import Iterable

from shared.features.parts.xds_values import Unrenderable, given
from shared.features.traffic.telemetry.ir import CustomTag, CustomTagEntry, Share
from shared.ir.http import HttpRoute
from shared.ir.match import MapEntry
from shared.xds.message import Fields

_HUNDRED, _MILLION = 100, 1_000_000
# denominator -> Envoy's, and how many of its parts one of ours is
_DENOMINATORS = {
    100: ("HUNDRED", 1),
    1_000: ("TEN_THOUSAND", 10),
    10_000: ("TEN_THOUSAND", 1),
    100_000: ("MILLION", 10),
    _MILLION: ("MILLION", 1),
}


def on_route(route: HttpRoute) -> Fields:
    """Fields of the Route. What its tracing leaves open is as the Gateway says, but of the client's wish to trace: that is no then."""
    telemetry = route.traffic.telemetry if route.traffic is not None else None
    tracing = telemetry.tracing if telemetry is not None else None
    if tracing is None:
        return {}
    name = tracing.span_name
    fields = {
        "client_sampling": share(tracing.client_sampling_fraction or Share(numerator=0)),
        "random_sampling": share(tracing.sampling_fraction) if tracing.sampling_fraction is not None else None,
        "overall_sampling": share(tracing.overall_sampling_fraction) if tracing.overall_sampling_fraction is not None else None,
        "custom_tags": tags(tracing.custom_tags, tracing.tags) or None,
        "operation": name.client if name is not None else None,
        "upstream_operation": name.server if name is not None else None,
    }
    return {"tracing": given(fields)}


def share(fraction: Share) -> Fields:
    """FractionalPercent, which knows three denominators."""
    name, parts = _DENOMINATORS.get(fraction.denominator or _HUNDRED, ("", 0))
    if name:
        return {"numerator": fraction.numerator * parts, "denominator": name}
    return {"numerator": fraction.numerator * _MILLION // (fraction.denominator or _HUNDRED), "denominator": "MILLION"}


def tags(custom: Iterable[CustomTagEntry], plain: Iterable[MapEntry]) -> list[Fields]:
    """CustomTags by name; a plain tag goes before a custom one of its name."""
    found = {e.key: _custom(e.value) for e in custom} | {e.key: {"value": e.value} for e in plain}
    return [{"tag": name} | found[name] for name in sorted(found)]


def _custom(tag: CustomTag) -> Fields:
    if tag.literal is not None:
        return {"literal": {"value": tag.literal.value}}
    for field, named in (("environment", tag.environment), ("request_header", tag.request_header)):
        if named is not None:
            return {field: {"name": named.name, "default_value": named.default_value or ""}}
    raise Unrenderable(f"tracing: a tag of type {tag.type!r} without its value")
