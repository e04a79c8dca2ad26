"""Mirrors: each is a destination of its own, and the share of requests that it gets."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.parts.filters import Filters, Lookup
from shared.features.route.mirror.ir import MirrorPolicy
from shared.features.route.mirror.spec import RequestMirrorSpec
from shared.ir.destination import Destination


def apply(spec: RequestMirrorSpec, before: Filters, index: int, lookup: Lookup) -> Filters:
    """`index` is the filter's place in its rule, which names the destination."""
    name = f"{lookup.destination_name}-mirror-{index}"
    setting, problem = lookup.backend(spec.backend_ref, f"{name}/backend/-1")
    result = (
        before.failed(replace(problem, message=f"failed to validate the RequestMirror filter: {problem.message}")) if problem else before
    )
    if setting is None:
        return result
    percentage: float | None = None
    if spec.fraction is not None:
        percentage = 100 * spec.fraction.numerator / spec.fraction.denominator
    elif spec.percent is not None:
        percentage = spec.percent
    policy = MirrorPolicy(destination=Destination(name=name, settings=(setting,)), percentage=percentage)
    return replace(result, mirrors=(*result.mirrors, policy))
