"""Connections from clients: how many, how long, how much is buffered (bytes), with Envoy Gateway's field names."""

from __future__ import annotations

from shared.ir.base import IR


class ConnectionLimit(IR, frozen=True):
    """`value`: connections at once, over all listeners of the address; further ones are closed after `close_delay`."""

    value: int | None = None
    close_delay: str | None = None
    max_connection_duration: str | None = None
    max_requests_per_connection: int | None = None
    max_stream_duration: str | None = None


class ClientConnection(IR, frozen=True):
    """`max_accept_per_socket_event` 0 means as many as there are."""

    limit: ConnectionLimit | None = None
    buffer_limit: int | None = None
    max_accept_per_socket_event: int | None = None
