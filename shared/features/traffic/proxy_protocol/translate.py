"""PROXY protocol towards backends."""

from __future__ import annotations

from shared.features.traffic.proxy_protocol.ir import ProxyProtocol
from shared.features.traffic.proxy_protocol.spec import ProxyProtocolSpec


def translate(spec: ProxyProtocolSpec | None) -> ProxyProtocol | None:
    return ProxyProtocol(version=spec.version) if spec is not None else None
