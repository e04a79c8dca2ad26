"""The proxy fleet to run for one Gateway: `ir.infra.<ns>.<name>`, with the shape of Envoy Gateway's infra IR."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.features.client.http3.ir import Http3
from shared.ir.base import IR
from shared.ir.telemetry import MetricSink


class ListenerPort(IR, frozen=True):
    """`container_port` is where Envoy binds, `service_port` what clients dial; protocol HTTP, HTTPS, TLS, TCP or UDP."""

    name: str
    protocol: str
    service_port: int
    container_port: int


class ProxyListener(IR, frozen=True):
    name: str
    address: str | None = None
    ports: tuple[ListenerPort, ...] = ()
    http3: Http3 | None = None


class OwnerReference(IR, frozen=True):
    kind: str
    name: str


class InfraMetadata(IR, frozen=True):
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    owner_reference: OwnerReference | None = None


class ProxyInfra(IR, frozen=True):
    """`config` is the effective EnvoyProxy object as it was written (defaults of the class and Gateway merged)."""

    name: str
    namespace: str = ""
    metadata: InfraMetadata | None = None
    listeners: tuple[ProxyListener, ...] = ()
    addresses: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    resolved_metric_sinks: tuple[MetricSink, ...] = ()


class Infra(IR, frozen=True):
    """`proxy` is None where the Gateway is known but must run nothing."""

    proxy: ProxyInfra | None = None
