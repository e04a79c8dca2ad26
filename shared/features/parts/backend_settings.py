"""How a service beside the backends is spoken to: the part of a traffic policy that counts for clusters, written where the service is."""

from __future__ import annotations

from shared.features.parts.backend_settings_spec import BackendSettingsSpec
from shared.features.parts.faults import Faults
from shared.features.parts.policy_lookup import Fault
from shared.features.route.retry import translate as retry
from shared.features.traffic.backend_connection import translate as backend_connection
from shared.features.traffic.circuit_breaker import translate as circuit_breaker
from shared.features.traffic.dns import translate as dns
from shared.features.traffic.health_check import translate as health_check
from shared.features.traffic.http2 import translate as http2
from shared.features.traffic.load_balancer import translate as load_balancer
from shared.features.traffic.proxy_protocol import translate as proxy_protocol
from shared.features.traffic.tcp_keepalive import translate as tcp_keepalive
from shared.features.traffic.timeout import translate as timeout
from shared.ir.traffic import Traffic


def translate(spec: BackendSettingsSpec | None) -> Traffic | None:
    """None where nothing is said; raises Fault."""
    if spec is None:
        return None
    faults = Faults()
    made = Traffic(
        load_balancer=load_balancer.translate(spec.load_balancer, faults),
        proxy_protocol=proxy_protocol.translate(spec.proxy_protocol),
        health_check=health_check.translate(spec.health_check, faults),
        circuit_breaker=circuit_breaker.translate(spec.circuit_breaker, faults),
        timeout=timeout.translate(spec.timeout, faults),
        tcp_keepalive=tcp_keepalive.translate(spec.tcp_keepalive, faults),
        backend_connection=backend_connection.translate(spec.connection, faults),
        http2=http2.translate(spec.http2, faults),
        dns=dns.translate(spec.dns, "", faults),
        retry=retry.of_policy(spec.retry, faults),
    )
    if faults.texts:
        raise Fault("; ".join(faults.texts))
    return made if made != Traffic() else None
