"""How a service beside the backends is spoken to, as Envoy Gateway writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.features.route.retry.spec import PolicyRetrySpec
from shared.features.traffic.backend_connection.spec import BackendConnectionSpec
from shared.features.traffic.circuit_breaker.spec import CircuitBreakerSpec
from shared.features.traffic.dns.spec import DnsSpec
from shared.features.traffic.health_check.spec import HealthCheckSpec
from shared.features.traffic.http2.spec import Http2Spec
from shared.features.traffic.load_balancer.spec import LoadBalancerSpec
from shared.features.traffic.proxy_protocol.spec import ProxyProtocolSpec
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec
from shared.features.traffic.timeout.spec import TimeoutSpec


class BackendSettingsSpec(Spec, frozen=True):
    load_balancer: LoadBalancerSpec | None = None
    retry: PolicyRetrySpec | None = None
    proxy_protocol: ProxyProtocolSpec | None = None
    tcp_keepalive: TcpKeepaliveSpec | None = None
    health_check: HealthCheckSpec | None = None
    circuit_breaker: CircuitBreakerSpec | None = None
    timeout: TimeoutSpec | None = None
    connection: BackendConnectionSpec | None = None
    dns: DnsSpec | None = None
    http2: Http2Spec | None = None
