"""HTTP/2 as policies write it, for connections from clients and to backends."""

from __future__ import annotations

from shared.api.base import Spec
from shared.core.quantities import Quantity


class KeepaliveSpec(Spec, frozen=True):
    interval: str | None = None
    timeout: str | None = None
    interval_jitter: int | None = None
    idle_interval: str | None = None


class Http2Spec(Spec, frozen=True):
    """`on_invalid_message`: TerminateConnection or TerminateStream."""

    initial_stream_window_size: Quantity | None = None
    initial_connection_window_size: Quantity | None = None
    max_concurrent_streams: int | None = None
    on_invalid_message: str | None = None
    connection_keepalive: KeepaliveSpec | None = None
