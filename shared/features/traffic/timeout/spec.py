"""Timeouts towards backends as a BackendTrafficPolicy writes them; durations as Go writes them."""

from __future__ import annotations

from shared.api.base import Spec


class TcpTimeoutSpec(Spec, frozen=True):
    connect_timeout: str | None = None


class HttpTimeoutSpec(Spec, frozen=True):
    connection_idle_timeout: str | None = None
    max_connection_duration: str | None = None
    request_timeout: str | None = None
    max_stream_duration: str | None = None
    stream_idle_timeout: str | None = None


class TimeoutSpec(Spec, frozen=True):
    tcp: TcpTimeoutSpec | None = None
    http: HttpTimeoutSpec | None = None
