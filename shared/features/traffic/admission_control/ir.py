"""Requests are turned away by the proxy while too many of them fail; with Envoy Gateway's field names, rates as percentages."""

from __future__ import annotations

from shared.ir.base import IR


class HttpSuccess(IR, frozen=True):
    status_codes: tuple[int, ...] = ()


class GrpcSuccess(IR, frozen=True):
    """Status codes by name, "DeadlineExceeded"."""

    status_codes: tuple[str, ...] = ()


class SuccessCriteria(IR, frozen=True):
    http: HttpSuccess | None = None
    grpc: GrpcSuccess | None = None


class AdmissionControl(IR, frozen=True):
    """What is not given is Envoy's default. `min_request_rate` is per second: with fewer requests none is turned away."""

    sampling_window: str | None = None
    min_success_rate: int | None = None
    rejection_aggression: int | None = None
    min_request_rate: int | None = None
    max_rejection_percent: int | None = None
    success_criteria: SuccessCriteria | None = None
