"""TCP keepalive: times in whole seconds, within what Linux takes: outside of that no socket would open (tcp(7), net/tcp.h)."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.features.traffic.tcp_keepalive.spec import TcpKeepaliveSpec

_MOST_PROBES = 127
_MOST_SECONDS = 32767


def translate(spec: TcpKeepaliveSpec | None, faults: Faults) -> TcpKeepalive | None:
    if spec is None:
        return None
    here = faults.inside("TCP KeepAlive")
    return TcpKeepalive(
        probes=_within("Probes", spec.probes, _MOST_PROBES, here),
        idle_time=_within("IdleTime", here.seconds("IdleTime", spec.idle_time), _MOST_SECONDS, here, "s"),
        interval=_within("Interval", here.seconds("Interval", spec.interval), _MOST_SECONDS, here, "s"),
    )


def _within(field: str, value: int | None, most: int, faults: Faults, unit: str = "") -> int | None:
    if value is None or 1 <= value <= most:
        return value
    faults.add(f"{field} value {value}{unit} is out of range, must be between 1{unit} and {most}{unit}")
    return None
