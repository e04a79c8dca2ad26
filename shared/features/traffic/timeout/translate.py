"""Timeouts towards backends: durations in their normal spelling."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.timeout.ir import HttpTimeout, TcpTimeout, Timeout
from shared.features.traffic.timeout.spec import TimeoutSpec


def translate(spec: TimeoutSpec | None, faults: Faults) -> Timeout | None:
    if spec is None:
        return None
    of, tcp, http = faults.inside("Timeout").duration, None, None
    if spec.tcp is not None and (connect := of("ConnectTimeout", spec.tcp.connect_timeout)) is not None:
        tcp = TcpTimeout(connect_timeout=connect)
    if spec.http is not None:
        http = HttpTimeout(
            connection_idle_timeout=of("ConnectionIdleTimeout", spec.http.connection_idle_timeout),
            max_connection_duration=of("MaxConnectionDuration", spec.http.max_connection_duration),
            request_timeout=of("RequestTimeout", spec.http.request_timeout),
            max_stream_duration=of("MaxStreamDuration", spec.http.max_stream_duration),
            stream_idle_timeout=of("StreamIdleTimeout", spec.http.stream_idle_timeout),
        )
    return Timeout(tcp=tcp, http=http)
