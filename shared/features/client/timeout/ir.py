"""Timeouts towards clients, with Envoy Gateway's field names; durations as Go writes them."""

from __future__ import annotations

from shared.ir.base import IR


class TcpClientTimeout(IR, frozen=True):
    idle_timeout: str | None = None
    tls_handshake_timeout: str | None = None
    connection_inspection_timeout: str | None = None


class HttpClientTimeout(IR, frozen=True):
    request_received_timeout: str | None = None
    request_headers_received_timeout: str | None = None
    idle_timeout: str | None = None
    stream_idle_timeout: str | None = None


class ClientTimeout(IR, frozen=True):
    tcp: TcpClientTimeout | None = None
    http: HttpClientTimeout | None = None
