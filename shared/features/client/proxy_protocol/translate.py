"""PROXY protocol from clients: an empty setting means yes, and so does the older switch."""

from __future__ import annotations

from shared.features.client.proxy_protocol.ir import ClientProxyProtocol
from shared.features.client.proxy_protocol.spec import ClientProxyProtocolSpec


def translate(spec: ClientProxyProtocolSpec | None, enabled: bool) -> ClientProxyProtocol | None:
    """`enabled`: what enableProxyProtocol says, which counts where the newer field is not set."""
    if spec is not None:
        return ClientProxyProtocol(optional=spec.optional)
    return ClientProxyProtocol() if enabled else None
