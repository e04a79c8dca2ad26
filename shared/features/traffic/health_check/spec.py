"""Health checks of endpoints as a BackendTrafficPolicy writes them. `binary` payloads are base64."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec


class LogFile(Spec, frozen=True):
    path: str


class HealthCheckLogSink(Spec, frozen=True):
    type: str = "File"
    file: LogFile | None = None


class HealthCheckLogSpec(Spec, frozen=True):
    """Where it is logged what checks find."""

    matches: tuple[str, ...] = ()
    sinks: tuple[HealthCheckLogSink, ...] = ()


class PayloadSpec(Spec, frozen=True):
    """`type` is Text or Binary."""

    type: str
    text: str | None = None
    binary: str = ""


class HttpCheckSpec(Spec, frozen=True):
    path: str
    hostname: str | None = None
    method: str | None = None
    expected_statuses: tuple[int, ...] = ()
    retriable_statuses: tuple[int, ...] = ()
    expected_response: PayloadSpec | None = None
    request_body: PayloadSpec | None = None


class TcpCheckSpec(Spec, frozen=True):
    send: PayloadSpec | None = None
    receive: PayloadSpec | None = None


class GrpcCheckSpec(Spec, frozen=True):
    service: str | None = None


class OverridesSpec(Spec, frozen=True):
    port: int


class ActiveCheckSpec(Spec, frozen=True):
    """`type` is HTTP, TCP or GRPC."""

    type: str
    timeout: str | None = None
    interval: str | None = None
    initial_jitter: str | None = None
    unhealthy_threshold: int | None = None
    healthy_threshold: int | None = None
    http: HttpCheckSpec | None = None
    tcp: TcpCheckSpec | None = None
    grpc: GrpcCheckSpec | None = None
    overrides: OverridesSpec | None = None
    health_check_log: HealthCheckLogSpec | None = None


class PassiveCheckSpec(Spec, frozen=True):
    split_external_local_origin_errors: bool | None = None
    interval: str | None = None
    consecutive_local_origin_failures: int | None = None
    consecutive_gateway_errors: int | None = None
    consecutive_5xx_errors: int | None = msgspec.field(default=None, name="consecutive5XxErrors")
    base_ejection_time: str | None = None
    max_ejection_percent: int | None = None
    failure_percentage_threshold: int | None = None
    always_eject_one_endpoint: bool | None = None


class HealthCheckSpec(Spec, frozen=True):
    active: ActiveCheckSpec | None = None
    passive: PassiveCheckSpec | None = None
    panic_threshold: int | None = None
