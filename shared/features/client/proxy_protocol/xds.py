"""PROXY protocol from clients in Envoy: a listener filter before all others."""

from __future__ import annotations

from shared.features.client.proxy_protocol.ir import ClientProxyProtocol
from shared.xds.message import Fields, pack

NAME = "envoy.filters.listener.proxy_protocol"


def listener_filters(protocol: ClientProxyProtocol | None) -> list[Fields]:
    if protocol is None:
        return []
    config: Fields = {"allow_requests_without_proxy_protocol": True} if protocol.optional else {}
    return [{"name": NAME, "typed_config": pack("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", config)}]
