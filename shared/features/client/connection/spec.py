"""Connections from clients as a ClientTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec
from shared.core.quantities import Quantity


class ConnectionLimitSpec(Spec, frozen=True):
    value: int | None = None
    close_delay: str | None = None
    max_connection_duration: str | None = None
    max_requests_per_connection: int | None = None
    max_stream_duration: str | None = None


class ClientConnectionSpec(Spec, frozen=True):
    connection_limit: ConnectionLimitSpec | None = None
    buffer_limit: Quantity | None = None
    socket_buffer_limit: Quantity | None = None
    max_accept_per_socket_event: int | None = None
