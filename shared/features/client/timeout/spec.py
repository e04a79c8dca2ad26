"""Timeouts towards clients as a ClientTrafficPolicy writes them; durations as Go writes them."""

from __future__ import annotations

from shared.api.base import Spec


class TcpTimeoutSpec(Spec, frozen=True):
    idle_timeout: str | None = None
    tls_handshake_timeout: str | None = None
    connection_inspection_timeout: str | None = None


class HttpTimeoutSpec(Spec, frozen=True):
    request_received_timeout: str | None = None
    request_headers_received_timeout: str | None = None
    idle_timeout: str | None = None
    stream_idle_timeout: str | None = None


class ClientTimeoutSpec(Spec, frozen=True):
    tcp: TcpTimeoutSpec | None = None
    http: HttpTimeoutSpec | None = None
