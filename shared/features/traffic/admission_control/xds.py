"""Admission control in Envoy: a filter of the cluster's own, so that it counts what the backend answers."""

from __future__ import annotations

from shared.features.parts.xds_values import Unrenderable, duration, given
from shared.features.traffic.admission_control.ir import AdmissionControl, SuccessCriteria
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.admission_control"
_MESSAGE = "envoy.extensions.filters.http.admission_control.v3.AdmissionControl"
_NAMES = (
    "Ok Cancelled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied ResourceExhausted "
    "FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable DataLoss Unauthenticated"
)
GRPC_CODES = {name: code for code, name in enumerate(_NAMES.split())}


def on_cluster(control: AdmissionControl | None) -> list[Fields]:
    """HTTP filters of the cluster, without the one that ends them."""
    if control is None:
        return []
    percents = {"sr_threshold": control.min_success_rate, "max_rejection_probability": control.max_rejection_percent}
    fields = {
        "enabled": {"default_value": {"value": True}},
        "success_criteria": _criteria(control.success_criteria or SuccessCriteria()),
        "sampling_window": duration(control.sampling_window) if control.sampling_window is not None else None,
        "aggression": {"default_value": control.rejection_aggression} if control.rejection_aggression is not None else None,
        "rps_threshold": {"default_value": control.min_request_rate} if control.min_request_rate is not None else None,
    }
    fields |= {name: {"default_value": {"value": n}} for name, n in percents.items() if n is not None}
    return [{"name": NAME, "typed_config": pack(_MESSAGE, given(fields))}]


def _criteria(of: SuccessCriteria) -> Fields:
    out: Fields = {}
    if of.http is not None and of.http.status_codes:
        out["http_criteria"] = {"http_success_status": [{"start": code, "end": code + 1} for code in of.http.status_codes]}
    if of.grpc is not None and of.grpc.status_codes:
        if unknown := [name for name in of.grpc.status_codes if name not in GRPC_CODES]:
            raise Unrenderable(f"admission control: there is no gRPC status {', '.join(unknown)}")
        out["grpc_criteria"] = {"grpc_success_status": [GRPC_CODES[name] for name in of.grpc.status_codes]}
    return out
