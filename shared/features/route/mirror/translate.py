"""Mirrors: each is a destination of its own, and the share of requests that it gets."""

from __future__ import annotations

import struct

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
        percentage = _single(100 * spec.fraction.numerator / spec.fraction.denominator)
    elif spec.percent is not None:
        percentage = spec.percent
    policy = MirrorPolicy(destination=Destination(name=name, settings=(setting,)), percentage=percentage)
    return replace(result, mirrors=(*result.mirrors, policy))


def _single(value: float) -> float:
    """The shortest decimal that is this value in single precision: what Envoy and Envoy Gateway's IR hold."""
    exact = struct.unpack("f", struct.pack("f", value))[0]
    shortest = (float(f"{exact:.{digits}g}") for digits in range(1, 10))
    return next(x for x in shortest if struct.pack("f", x) == struct.pack("f", exact))
