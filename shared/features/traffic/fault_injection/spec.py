"""Faults on purpose, as a BackendTrafficPolicy writes them: delays and aborts of a share of the requests."""

from __future__ import annotations

from shared.api.base import Spec


class FaultDelaySpec(Spec, frozen=True):
    fixed_delay: str
    percentage: float = 100


class FaultAbortSpec(Spec, frozen=True):
    """One of the statuses."""

    http_status: int | None = None
    grpc_status: int | None = None
    percentage: float = 100


class FaultInjectionSpec(Spec, frozen=True):
    delay: FaultDelaySpec | None = None
    abort: FaultAbortSpec | None = None
