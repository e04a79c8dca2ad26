"""What the ADS server is told when it starts."""

from __future__ import annotations

import msgspec


class XdsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files are PEM; without all three of them the server speaks plaintext, and only on loopback. Times in seconds."""

    certificate: str | None = None
    private_key: str | None = None
    client_ca: str | None = None
    namespace: str = "envoy-gateway-system"
    """Where the control plane lives."""
    max_stream_age: float | None = None
    """Streams are ended at about this age, so that proxies spread over replicas again; None: never."""
    names_by_port: bool = False
    """Resources are named after ports instead of listeners."""
    stage_limit: float = 3.0
    """Longest wait for an acknowledgement before what depends on it is sent anyway."""
    behind_limit: float = 5.0
    """Longest wait of a replica for a version that a proxy already has from another one."""
