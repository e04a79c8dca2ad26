"""TCP keepalive towards clients in Envoy: options of the listening socket, which accepted ones inherit (numbers are Linux's)."""

from __future__ import annotations

from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.xds.message import Fields

_SOL_SOCKET, _SO_KEEPALIVE = 1, 9
_SOL_TCP, _KEEPCNT, _KEEPIDLE, _KEEPINTVL = 6, 6, 4, 5


def on_listener(keepalive: TcpKeepalive | None) -> Fields:
    """Fields of the Listener."""
    if keepalive is None:
        return {}
    options: list[Fields] = [
        {"description": "socket option to enable tcp keep alive", "level": _SOL_SOCKET, "name": _SO_KEEPALIVE, "int_value": 1}
    ]
    options += [
        {"description": f"socket option for keep alive {what}", "level": _SOL_TCP, "name": name, "int_value": value}
        for what, name, value in (
            ("probes", _KEEPCNT, keepalive.probes),
            ("idle time", _KEEPIDLE, keepalive.idle_time),
            ("interval", _KEEPINTVL, keepalive.interval),
        )
        if value is not None
    ]
    return {"socket_options": options}
