"""TCP keepalive: times in whole seconds."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec


def translate(spec: TcpKeepaliveSpec | None, faults: Faults) -> TcpKeepalive | None:
    if spec is None:
        return None
    here = faults.inside("TCP KeepAlive")
    return TcpKeepalive(
        probes=spec.probes,
        idle_time=here.seconds("IdleTime", spec.idle_time),
        interval=here.seconds("Interval", spec.interval),
    )
