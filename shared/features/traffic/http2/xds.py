"""HTTP/2 towards backends: the Http2ProtocolOptions of a cluster."""

from __future__ import annotations

from shared.features.parts.xds_values import duration, given, wrapped
from shared.features.traffic.http2.ir import ConnectionKeepalive, Http2
from shared.xds.message import Fields

STREAM_WINDOW = 65536
CONNECTION_WINDOW = 1048576


def options(http2: Http2 | None) -> Fields:
    """Http2ProtocolOptions; windows have the sizes that Envoy recommends at the edge unless they are set."""
    of = http2 or Http2()
    values = {
        "initial_stream_window_size": STREAM_WINDOW if of.initial_stream_window_size is None else of.initial_stream_window_size,
        "initial_connection_window_size": (
            CONNECTION_WINDOW if of.initial_connection_window_size is None else of.initial_connection_window_size
        ),
        "max_concurrent_streams": of.max_concurrent_streams,
        "override_stream_error_on_invalid_http_message": of.reset_stream_on_error,
    }
    out: Fields = {name: wrapped(v) for name, v in values.items() if v is not None}
    return out | ({"connection_keepalive": _keepalive(of.connection_keepalive)} if of.connection_keepalive is not None else {})


def _keepalive(of: ConnectionKeepalive) -> Fields:
    return given(
        {
            "interval": duration(of.interval) if of.interval is not None else None,
            "timeout": duration(of.timeout) if of.timeout is not None else None,
            "interval_jitter": {"value": of.interval_jitter} if of.interval_jitter is not None else None,
            "connection_idle_interval": duration(of.idle_interval) if of.idle_interval is not None else None,
        }
    )
