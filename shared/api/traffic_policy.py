"""BackendTrafficPolicy: how requests go to backends. Its parts are the features' own."""

from __future__ import annotations

from typing import Literal

from shared.api.targets import PolicyObject, PolicyTargets
from shared.features.route.retry.spec import PolicyRetrySpec
from shared.features.traffic.admission_control.spec import AdmissionControlSpec
from shared.features.traffic.backend_connection.spec import BackendConnectionSpec
from shared.features.traffic.bandwidth_limit.spec import BandwidthLimitSpec
from shared.features.traffic.circuit_breaker.spec import CircuitBreakerSpec
from shared.features.traffic.compression.spec import CompressionSpec
from shared.features.traffic.dns.spec import DnsSpec
from shared.features.traffic.fault_injection.spec import FaultInjectionSpec
from shared.features.traffic.health_check.spec import HealthCheckSpec
from shared.features.traffic.http2.spec import Http2Spec
from shared.features.traffic.http_upgrade.spec import HttpUpgradeSpec
from shared.features.traffic.load_balancer.spec import LoadBalancerSpec
from shared.features.traffic.proxy_protocol.spec import ProxyProtocolSpec
from shared.features.traffic.rate_limit.spec import RateLimitSpec
from shared.features.traffic.request_buffer.spec import RequestBufferSpec
from shared.features.traffic.response_override.spec import ResponseOverrideSpec
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec
from shared.features.traffic.telemetry.spec import BackendTelemetrySpec
from shared.features.traffic.timeout.spec import TimeoutSpec


class BackendTrafficPolicySpec(PolicyTargets, frozen=True):
    """`compression` is what `compressor` replaces. `routing_type`: to a Service's endpoints, or to its own address."""

    load_balancer: LoadBalancerSpec | None = None
    proxy_protocol: ProxyProtocolSpec | None = None
    health_check: HealthCheckSpec | None = None
    circuit_breaker: CircuitBreakerSpec | None = None
    admission_control: AdmissionControlSpec | None = None
    retry: PolicyRetrySpec | None = None
    timeout: TimeoutSpec | None = None
    tcp_keepalive: TcpKeepaliveSpec | None = None
    connection: BackendConnectionSpec | None = None
    http2: Http2Spec | None = None
    dns: DnsSpec | None = None
    rate_limit: RateLimitSpec | None = None
    bandwidth_limit: BandwidthLimitSpec | None = None
    fault_injection: FaultInjectionSpec | None = None
    use_client_protocol: bool | None = None
    response_override: tuple[ResponseOverrideSpec, ...] = ()
    compression: tuple[CompressionSpec, ...] = ()
    compressor: tuple[CompressionSpec, ...] = ()
    http_upgrade: tuple[HttpUpgradeSpec, ...] = ()
    request_buffer: RequestBufferSpec | None = None
    telemetry: BackendTelemetrySpec | None = None
    routing_type: Literal["Service", "Endpoint"] | None = None


class BackendTrafficPolicy(PolicyObject, frozen=True):
    spec: BackendTrafficPolicySpec = BackendTrafficPolicySpec()
