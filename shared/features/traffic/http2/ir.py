"""HTTP/2 settings, of connections from clients and to backends; windows in bytes."""

from __future__ import annotations

from shared.ir.base import IR


class ConnectionKeepalive(IR, frozen=True):
    interval: str | None = None
    timeout: str | None = None
    interval_jitter: int | None = None
    idle_interval: str | None = None


class Http2(IR, frozen=True):
    initial_stream_window_size: int | None = None
    initial_connection_window_size: int | None = None
    max_concurrent_streams: int | None = None
    reset_stream_on_error: bool | None = None
    connection_keepalive: ConnectionKeepalive | None = None
