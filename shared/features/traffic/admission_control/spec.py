"""Admission control as a BackendTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec


class HttpSuccessSpec(Spec, frozen=True):
    status_codes: tuple[int, ...] = ()


class GrpcSuccessSpec(Spec, frozen=True):
    status_codes: tuple[str, ...] = ()


class SuccessCriteriaSpec(Spec, frozen=True):
    http: HttpSuccessSpec | None = None
    grpc: GrpcSuccessSpec | None = None


class AdmissionControlSpec(Spec, frozen=True):
    sampling_window: str | None = None
    min_success_rate: int | None = None
    rejection_aggression: int | None = None
    min_request_rate: int | None = None
    max_rejection_percent: int | None = None
    success_criteria: SuccessCriteriaSpec | None = None
