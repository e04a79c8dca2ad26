"""Health checks of endpoints, active and passive, with Envoy Gateway's field names. `binary` payloads are base64."""

from __future__ import annotations

from shared.ir.base import IR


class HealthCheckLogFile(IR, frozen=True):
    path: str


class HealthCheckLog(IR, frozen=True):
    """Which results of active health checks are logged; transitions always are."""

    always_log_health_check_failures: bool = False
    always_log_health_check_success: bool = False
    file_sinks: tuple[HealthCheckLogFile, ...] = ()


class Payload(IR, frozen=True):
    text: str | None = None
    binary: str = ""


class HttpCheck(IR, frozen=True):
    host: str = ""
    path: str = ""
    method: str | None = None
    expected_statuses: tuple[int, ...] = ()
    retriable_statuses: tuple[int, ...] = ()
    expected_response: Payload | None = None
    request_body: Payload | None = None


class TcpCheck(IR, frozen=True):
    send: Payload | None = None
    receive: Payload | None = None


class GrpcCheck(IR, frozen=True):
    service: str | None = None


class Overrides(IR, frozen=True):
    port: int


class ActiveCheck(IR, frozen=True):
    timeout: str | None = None
    interval: str | None = None
    initial_jitter: str | None = None
    unhealthy_threshold: int | None = None
    healthy_threshold: int | None = None
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    grpc: GrpcCheck | None = None
    overrides: Overrides | None = None
    backend_health_check_log: HealthCheckLog | None = None


class PassiveCheck(IR, frozen=True):
    interval: str | None = None
    base_ejection_time: str | None = None
    split_external_local_origin_errors: bool | None = None
    consecutive_local_origin_failures: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_5xx_errors: int | None = None
    max_ejection_percent: int | None = None
    failure_percentage_threshold: int | None = None
    always_eject_one_endpoint: bool | None = None


class HealthCheck(IR, frozen=True):
    active: ActiveCheck | None = None
    passive: PassiveCheck | None = None
    panic_threshold: int | None = None
