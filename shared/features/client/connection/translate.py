"""Connections from clients: sizes in bytes, durations in their normal spelling."""

from __future__ import annotations

from shared.features.client.connection.ir import ClientConnection, ConnectionLimit
from shared.features.client.connection.spec import ClientConnectionSpec, ConnectionLimitSpec
from shared.features.parts.faults import Faults


def translate(spec: ClientConnectionSpec | None, faults: Faults) -> ClientConnection | None:
    if spec is None:
        return None
    here = faults.inside("Connection")
    return ClientConnection(
        limit=_limit(spec.connection_limit, here) if spec.connection_limit is not None else None,
        buffer_limit=here.size("BufferLimit", spec.buffer_limit),
        max_accept_per_socket_event=spec.max_accept_per_socket_event,
    )


def unsupported(spec: ClientConnectionSpec | None) -> tuple[str, ...]:
    """Fields that are read and not acted on."""
    return ("connection.socketBufferLimit",) if spec is not None and spec.socket_buffer_limit is not None else ()


def _limit(spec: ConnectionLimitSpec, faults: Faults) -> ConnectionLimit:
    return ConnectionLimit(
        value=spec.value,
        close_delay=faults.duration("CloseDelay", spec.close_delay),
        max_connection_duration=faults.duration("MaxConnectionDuration", spec.max_connection_duration),
        max_requests_per_connection=spec.max_requests_per_connection,
        max_stream_duration=faults.duration("MaxStreamDuration", spec.max_stream_duration),
    )
