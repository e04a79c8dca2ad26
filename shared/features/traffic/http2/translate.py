"""HTTP/2: windows in bytes and within the protocol's bounds, durations in their normal spelling."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.http2.ir import ConnectionKeepalive, Http2
from shared.features.traffic.http2.spec import Http2Spec, KeepaliveSpec

LEAST_WINDOW, MOST_WINDOW = 65535, (1 << 31) - 1
_RESETS = {"TerminateStream": True, "TerminateConnection": False}


def translate(spec: Http2Spec | None, faults: Faults) -> Http2 | None:
    if spec is None:
        return None
    here = faults.inside("HTTP2")
    return Http2(
        initial_stream_window_size=here.size("InitialStreamWindowSize", spec.initial_stream_window_size, LEAST_WINDOW, MOST_WINDOW),
        initial_connection_window_size=here.size(
            "InitialConnectionWindowSize", spec.initial_connection_window_size, LEAST_WINDOW, MOST_WINDOW
        ),
        max_concurrent_streams=spec.max_concurrent_streams,
        reset_stream_on_error=_RESETS.get(spec.on_invalid_message or ""),
        connection_keepalive=_keepalive(spec.connection_keepalive, here) if spec.connection_keepalive is not None else None,
    )


def _keepalive(spec: KeepaliveSpec, faults: Faults) -> ConnectionKeepalive:
    return ConnectionKeepalive(
        interval=faults.duration("ConnectionKeepalive.Interval", spec.interval),
        timeout=faults.duration("ConnectionKeepalive.Timeout", spec.timeout),
        interval_jitter=spec.interval_jitter,
        idle_interval=faults.duration("ConnectionKeepalive.IdleInterval", spec.idle_interval),
    )
