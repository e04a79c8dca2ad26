"""Admission control: the same, with durations in their normal spelling."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.admission_control.ir import AdmissionControl, GrpcSuccess, HttpSuccess, SuccessCriteria
from shared.features.traffic.admission_control.spec import AdmissionControlSpec, SuccessCriteriaSpec


def translate(spec: AdmissionControlSpec | None, faults: Faults) -> AdmissionControl | None:
    if spec is None:
        return None
    return AdmissionControl(
        sampling_window=faults.inside("AdmissionControl").duration("SamplingWindow", spec.sampling_window),
        min_success_rate=spec.min_success_rate,
        rejection_aggression=spec.rejection_aggression,
        min_request_rate=spec.min_request_rate,
        max_rejection_percent=spec.max_rejection_percent,
        success_criteria=_criteria(spec.success_criteria) if spec.success_criteria is not None else None,
    )


def _criteria(spec: SuccessCriteriaSpec) -> SuccessCriteria:
    return SuccessCriteria(
        http=HttpSuccess(status_codes=spec.http.status_codes) if spec.http is not None else None,
        grpc=GrpcSuccess(status_codes=spec.grpc.status_codes) if spec.grpc is not None else None,
    )
