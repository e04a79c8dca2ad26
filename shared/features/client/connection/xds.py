"""Connections from clients in Envoy: limits of the listener, a network filter that counts, options of the connection manager."""

from __future__ import annotations

from shared.features.client.connection.ir import ClientConnection, ConnectionLimit
from shared.features.parts.xds_values import duration, given, wrapped
from shared.xds.message import Fields, pack

BUFFER_LIMIT = 32768
ACCEPTED_AT_ONCE = 1
NAME = "envoy.filters.network.connection_limit"


def on_listener(connection: ClientConnection | None) -> Fields:
    """Fields of the Listener."""
    of = connection or ClientConnection()
    at_once = ACCEPTED_AT_ONCE if of.max_accept_per_socket_event is None else of.max_accept_per_socket_event
    return given(
        {
            "per_connection_buffer_limit_bytes": wrapped(BUFFER_LIMIT if of.buffer_limit is None else of.buffer_limit),
            "max_connections_to_accept_per_socket_event": wrapped(at_once) if at_once else None,
        }
    )


def _limit(connection: ClientConnection | None) -> ConnectionLimit:
    return connection.limit if connection is not None and connection.limit is not None else ConnectionLimit()


def network_filters(connection: ClientConnection | None, stat_prefix: str) -> list[Fields]:
    """Network filters that stand before the connection manager or the TCP proxy."""
    limit = _limit(connection)
    if limit.value is None:
        return []
    config: Fields = {"stat_prefix": stat_prefix, "max_connections": wrapped(limit.value)}
    if limit.close_delay is not None:
        config["delay"] = duration(limit.close_delay)
    return [{"name": NAME, "typed_config": pack("envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit", config)}]


def on_connections(connection: ClientConnection | None) -> Fields:
    """Fields of the connection manager's common_http_protocol_options."""
    limit = _limit(connection)
    most = limit.max_requests_per_connection
    return given(
        {
            "max_connection_duration": duration(limit.max_connection_duration) if limit.max_connection_duration is not None else None,
            "max_requests_per_connection": wrapped(most) if most is not None else None,
            "max_stream_duration": duration(limit.max_stream_duration) if limit.max_stream_duration is not None else None,
        }
    )


def on_hcm(connection: ClientConnection | None, *, safely: bool) -> Fields:
    """A connection that ends by its age ends between two requests, unless told otherwise."""
    return {"http1_safe_max_connection_duration": True} if safely and _limit(connection).max_connection_duration is not None else {}
