"""Faults on purpose: durations in their normal spelling."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.fault_injection.ir import FaultAbort, FaultDelay, FaultInjection
from shared.features.traffic.fault_injection.spec import FaultInjectionSpec


def translate(spec: FaultInjectionSpec | None, faults: Faults) -> FaultInjection | None:
    if spec is None:
        return None
    here, delay, abort = faults.inside("FaultInjection"), None, None
    if spec.delay is not None:
        fixed = here.duration("FixedDelay", spec.delay.fixed_delay)
        delay = FaultDelay(fixed_delay=fixed, percentage=spec.delay.percentage)
    if spec.abort is not None:
        of = spec.abort
        abort = FaultAbort(http_status=of.http_status, grpc_status=of.grpc_status, percentage=of.percentage)
    return FaultInjection(delay=delay, abort=abort)
