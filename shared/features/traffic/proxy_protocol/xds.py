"""PROXY protocol in Envoy: a transport socket around the one that would be there without it."""

from __future__ import annotations

from shared.features.traffic.proxy_protocol.ir import ProxyProtocol
from shared.xds.message import Fields, pack

_RAW = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_PROXY = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"


def around(protocol: ProxyProtocol, socket: Fields | None) -> Fields:
    """TransportSocket that says who the client is, then goes on as `socket` (None: plain)."""
    inner = socket or {"name": "envoy.transport_sockets.raw_buffer", "typed_config": pack(_RAW)}
    config = pack(_PROXY, {"config": {"version": protocol.version}, "transport_socket": inner})
    return {"name": "envoy.transport_sockets.upstream_proxy_protocol", "typed_config": config}
