"""Faults that are put into the way of requests, with Envoy Gateway's field names; percentages from 0 to 100."""

from __future__ import annotations

from shared.ir.base import IR


class FaultDelay(IR, frozen=True):
    fixed_delay: str | None = None
    percentage: float | None = None


class FaultAbort(IR, frozen=True):
    http_status: int | None = None
    grpc_status: int | None = None
    percentage: float | None = None


class FaultInjection(IR, frozen=True):
    delay: FaultDelay | None = None
    abort: FaultAbort | None = None
