"""Buffered requests: a limit that Envoy can hold, and no upgrades beside it."""

from __future__ import annotations

from shared.core.quantities import canonical
from shared.features.parts.faults import Faults
from shared.features.traffic.request_buffer.ir import RequestBuffer
from shared.features.traffic.request_buffer.spec import RequestBufferSpec


def translate(spec: RequestBufferSpec | None, upgrades: bool, faults: Faults) -> RequestBuffer | None:
    """`upgrades`: the policy allows some, and what is upgraded has no end that a buffer could wait for."""
    if spec is None:
        return None
    here = faults.inside("RequestBuffer")
    if upgrades:
        here.add("requestBuffer cannot be used together with httpUpgrade")
    return RequestBuffer(limit=canonical(spec.limit)) if here.size("limit", spec.limit) is not None else None
