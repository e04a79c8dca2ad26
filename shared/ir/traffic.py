"""What a BackendTrafficPolicy, or an extension's backend settings, say of the traffic to a destination."""

from __future__ import annotations

from shared.features.route.retry.ir import Retry
from shared.features.traffic.admission_control.ir import AdmissionControl
from shared.features.traffic.backend_connection.ir import BackendConnection
from shared.features.traffic.bandwidth_limit.ir import BandwidthLimit
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.features.traffic.compression.ir import Compression
from shared.features.traffic.dns.ir import Dns
from shared.features.traffic.fault_injection.ir import FaultInjection
from shared.features.traffic.health_check.ir import HealthCheck
from shared.features.traffic.http2.ir import Http2
from shared.features.traffic.http_upgrade.ir import HttpUpgrade
from shared.features.traffic.load_balancer.ir import LoadBalancer
from shared.features.traffic.proxy_protocol.ir import ProxyProtocol
from shared.features.traffic.rate_limit.ir import RateLimit
from shared.features.traffic.request_buffer.ir import RequestBuffer
from shared.features.traffic.response_override.ir import ResponseOverride
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.features.traffic.telemetry.ir import BackendTelemetry
from shared.features.traffic.timeout.ir import Timeout
from shared.ir.base import IR


class ClusterTraffic(IR, frozen=True):
    """What goes to a cluster, whoever sends it."""

    load_balancer: LoadBalancer | None = None
    proxy_protocol: ProxyProtocol | None = None
    health_check: HealthCheck | None = None
    circuit_breaker: CircuitBreaker | None = None
    timeout: Timeout | None = None
    tcp_keepalive: TcpKeepalive | None = None
    backend_connection: BackendConnection | None = None
    http2: Http2 | None = None
    dns: Dns | None = None
    admission_control: AdmissionControl | None = None
    retry: Retry | None = None


class Traffic(ClusterTraffic, frozen=True):
    """What goes through a route."""

    rate_limit: RateLimit | None = None
    bandwidth_limit: BandwidthLimit | None = None
    fault_injection: FaultInjection | None = None
    response_override: ResponseOverride | None = None
    compression: tuple[Compression, ...] = ()
    http_upgrade: tuple[HttpUpgrade, ...] = ()
    telemetry: BackendTelemetry | None = None
    request_buffer: RequestBuffer | None = None
