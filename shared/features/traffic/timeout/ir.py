"""Timeouts towards backends, with Envoy Gateway's field names; durations as Go writes them."""

from __future__ import annotations

from shared.ir.base import IR


class TcpTimeout(IR, frozen=True):
    connect_timeout: str | None = None


class HttpTimeout(IR, frozen=True):
    request_timeout: str | None = None
    stream_idle_timeout: str | None = None
    max_stream_duration: str | None = None
    connection_idle_timeout: str | None = None
    max_connection_duration: str | None = None


class Timeout(IR, frozen=True):
    tcp: TcpTimeout | None = None
    http: HttpTimeout | None = None
