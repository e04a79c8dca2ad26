"""HTTP/3 in Envoy: a second listener on the same port number, over UDP, and a header that tells clients of it."""

from __future__ import annotations

from shared.features.parts.xds_values import wrapped
from shared.xds.message import Fields, pack

ALPN = "h3"
_REMEMBERED = 86400
"""Seconds for which a client may keep in mind that there is HTTP/3."""


def on_listener() -> Fields:
    """Fields of the UDP Listener. It does not drain when health checks are failed on purpose."""
    return {"udp_listener_config": {"downstream_socket_config": {}, "quic_options": {}}, "drain_type": "MODIFY_ONLY"}


def on_hcm() -> Fields:
    return {"codec_type": "HTTP3", "http3_protocol_options": {}}


def socket(tls_context: Fields) -> Fields:
    """TransportSocket of a filter chain, around its DownstreamTlsContext."""
    config = pack("envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport", {"downstream_tls_context": tls_context})
    return {"name": "envoy.transport_sockets.quic", "typed_config": config}


def advertisement(port: int) -> Fields:
    """HeaderValueOption for every response: `port` is what clients dial."""
    return {"append": wrapped(True), "header": {"key": "alt-svc", "value": f'{ALPN}=":{port}"; ma={_REMEMBERED}'}}
