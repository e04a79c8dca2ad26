"""Health checks: durations in their normal spelling, statuses in order and once each, what a check sends and expects."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.health_check import ir
from shared.features.traffic.health_check.spec import (
    ActiveCheckSpec,
    HealthCheckLogSpec,
    HealthCheckSpec,
    HttpCheckSpec,
    PassiveCheckSpec,
    PayloadSpec,
)

DEFAULT_LOG = "/dev/stdout"
OK = 200
_FIELDS = {"HTTP": "http", "TCP": "tcp"}


def translate(spec: HealthCheckSpec | None, faults: Faults) -> ir.HealthCheck | None:
    if spec is None:
        return None
    here = faults.inside("HealthCheck")
    return ir.HealthCheck(
        active=_active(spec.active, here) if spec.active is not None else None,
        passive=_passive(spec.passive, here) if spec.passive is not None else None,
        panic_threshold=spec.panic_threshold,
    )


def log(spec: HealthCheckLogSpec | None) -> ir.HealthCheckLog | None:
    """No matches mean all results, no sinks standard output."""
    if spec is None:
        return None
    paths = [sink.file.path for sink in spec.sinks if sink.file is not None] if spec.sinks else [DEFAULT_LOG]
    return ir.HealthCheckLog(
        always_log_health_check_failures=not spec.matches or "Failure" in spec.matches,
        always_log_health_check_success=not spec.matches or "Success" in spec.matches,
        file_sinks=tuple(ir.HealthCheckLogFile(path=p) for p in paths),
    )


def _active(spec: ActiveCheckSpec, faults: Faults) -> ir.ActiveCheck | None:
    of_type = _FIELDS.get(spec.type)
    if (of_type is None and spec.type != "GRPC") or (of_type is not None and getattr(spec, of_type) is None):
        faults.add(f"a check of type {spec.type} is not supported, or its field is not set")
        return None
    tcp = spec.tcp if spec.type == "TCP" else None
    return ir.ActiveCheck(
        timeout=faults.duration("Timeout", spec.timeout),
        interval=faults.duration("Interval", spec.interval),
        initial_jitter=faults.as_written("InitialJitter", spec.initial_jitter),
        unhealthy_threshold=spec.unhealthy_threshold,
        healthy_threshold=spec.healthy_threshold,
        http=_http(spec.http) if spec.type == "HTTP" and spec.http is not None else None,
        tcp=ir.TcpCheck(send=_payload(tcp.send), receive=_payload(tcp.receive)) if tcp is not None else None,
        grpc=ir.GrpcCheck(service=spec.grpc.service if spec.grpc is not None else None) if spec.type == "GRPC" else None,
        overrides=ir.Overrides(port=spec.overrides.port) if spec.overrides is not None else None,
        backend_health_check_log=log(spec.health_check_log),
    )


def _http(spec: HttpCheckSpec) -> ir.HttpCheck:
    return ir.HttpCheck(
        host=spec.hostname or "",
        path=spec.path,
        method=spec.method.upper() if spec.method is not None else None,
        expected_statuses=tuple(sorted(set(spec.expected_statuses))) or (OK,),
        retriable_statuses=tuple(sorted(set(spec.retriable_statuses))),
        expected_response=_payload(spec.expected_response),
        request_body=_payload(spec.request_body),
    )


def _payload(spec: PayloadSpec | None) -> ir.Payload | None:
    if spec is None:
        return None
    return ir.Payload(text=spec.text if spec.type == "Text" else None, binary=spec.binary if spec.type == "Binary" else "")


def _passive(spec: PassiveCheckSpec, faults: Faults) -> ir.PassiveCheck:
    return ir.PassiveCheck(
        interval=faults.duration("Interval", spec.interval),
        base_ejection_time=faults.duration("BaseEjectionTime", spec.base_ejection_time),
        split_external_local_origin_errors=spec.split_external_local_origin_errors,
        consecutive_local_origin_failures=spec.consecutive_local_origin_failures,
        consecutive_gateway_errors=spec.consecutive_gateway_errors,
        consecutive_5xx_errors=spec.consecutive_5xx_errors,
        max_ejection_percent=spec.max_ejection_percent,
        failure_percentage_threshold=spec.failure_percentage_threshold,
        always_eject_one_endpoint=spec.always_eject_one_endpoint,
    )
