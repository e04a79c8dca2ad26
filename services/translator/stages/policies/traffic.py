"""BackendTrafficPolicies: what one says of the traffic to backends. What cannot be translated is told, and routes answer 500."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from services.translator.stages.filters import custom_body
from services.translator.stages.policies.built import Built, Effective
from services.translator.stages.policies.owners import owner
from services.translator.stages.tables import settings
from shared.api.traffic_policy import BackendTrafficPolicySpec
from shared.core.merging import Keys, merged
from shared.core.refs import ObjectRef
from shared.features.parts.faults import Faults
from shared.features.route.retry import translate as retry
from shared.features.traffic.admission_control import translate as admission_control
from shared.features.traffic.backend_connection import translate as backend_connection
from shared.features.traffic.bandwidth_limit import translate as bandwidth_limit
from shared.features.traffic.circuit_breaker import translate as circuit_breaker
from shared.features.traffic.compression import translate as compression
from shared.features.traffic.dns import translate as dns
from shared.features.traffic.fault_injection import translate as fault_injection
from shared.features.traffic.health_check import translate as health_check
from shared.features.traffic.http2 import translate as http2
from shared.features.traffic.http_upgrade import translate as http_upgrade
from shared.features.traffic.load_balancer import translate as load_balancer
from shared.features.traffic.proxy_protocol import translate as proxy_protocol
from shared.features.traffic.rate_limit import translate as rate_limit
from shared.features.traffic.rate_limit.ir import RateLimit
from shared.features.traffic.request_buffer import translate as request_buffer
from shared.features.traffic.response_override import translate as response_override
from shared.features.traffic.tcp_keepalive import translate as tcp_keepalive
from shared.features.traffic.telemetry import translate as telemetry
from shared.features.traffic.timeout import translate as timeout
from shared.incremental import Db
from shared.ir.base import decode, encode
from shared.ir.traffic import Traffic

Spec = BackendTrafficPolicySpec
LISTS: Keys = MappingProxyType({"compression": "type", "compressor": "type", "httpUpgrade": "type"})
_RULES: Keys = MappingProxyType({"global.rules": "name", "local.rules": "name"})


def build(db: Db, of: Effective[Spec], gateway: ObjectRef) -> Built[Traffic]:
    """What could be built stands in the IR whatever else is wrong: connections have no 500 to answer."""
    del gateway
    spec, faults, name = of.spec, Faults(), _name(of.policy)
    body_owner = owner(of, lambda s: bool(s.response_override))
    limits = _rate_limit(db, of, faults)
    upgrades = http_upgrade.translate(spec.http_upgrade)
    traffic = Traffic(
        rate_limit=limits,
        bandwidth_limit=bandwidth_limit.translate(spec.bandwidth_limit, faults),
        load_balancer=load_balancer.translate(spec.load_balancer, faults),
        proxy_protocol=proxy_protocol.translate(spec.proxy_protocol),
        health_check=health_check.translate(spec.health_check, faults),
        circuit_breaker=circuit_breaker.translate(spec.circuit_breaker, faults),
        fault_injection=fault_injection.translate(spec.fault_injection, faults),
        admission_control=admission_control.translate(spec.admission_control, faults),
        tcp_keepalive=tcp_keepalive.translate(spec.tcp_keepalive, faults),
        retry=retry.of_policy(spec.retry, faults),
        timeout=timeout.translate(spec.timeout, faults),
        backend_connection=backend_connection.translate(spec.connection, faults),
        http2=http2.translate(spec.http2, faults),
        response_override=response_override.translate(
            spec.response_override,
            f"{of.policy.kind.lower()}/{name}",
            lambda body: custom_body(db, body, body_owner.namespace),
            faults,
        ),
        compression=compression.translate(spec.compressor, spec.compression, faults),
        http_upgrade=upgrades,
        telemetry=telemetry.translate(spec.telemetry, faults),
        request_buffer=request_buffer.translate(spec.request_buffer, bool(upgrades), faults),
        dns=dns.translate(spec.dns, name, faults),
    )
    return Built(traffic, tuple(faults.texts))


def _name(policy: ObjectRef) -> str:
    return f"{policy.namespace}/{policy.name}"


def _rate_limit(db: Db, of: Effective[Spec], faults: Faults) -> RateLimit | None:
    """The limits of a policy, under its name. Of a merged one each rule keeps the name of the policy that wrote it: its count goes on."""
    served = settings(db).rate_limit is not None
    own = rate_limit.translate(of.own_spec.rate_limit, _name(of.policy), faults, service=served)
    if of.parent is None or of.parent_spec is None:
        return own
    above = rate_limit.translate(of.parent_spec.rate_limit, _name(of.parent), faults, service=served)
    if own is None or above is None:
        return own or above
    lists = _RULES if of.own_spec.merge_type == "StrategicMerge" else None
    return decode(msgspec.json.encode(merged(_plain(above), _plain(own), lists)), RateLimit)


def _plain(limit: RateLimit) -> Any:
    return msgspec.json.decode(encode(limit))


def deprecated(spec: Spec) -> Mapping[str, str]:
    """Fields that a policy uses and others replace."""
    found = {"spec.targetRef": "spec.targetRefs"} if spec.target_ref is not None else {}
    return found | ({"spec.compression": "spec.compressor"} if spec.compression else {})


def stat_name(spec: Spec) -> str | None:
    """The pattern after which statistics of routes are named."""
    metrics = spec.telemetry.metrics if spec.telemetry is not None else None
    return (metrics.route_stat_name if metrics is not None else None) or None
