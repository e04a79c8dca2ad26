"""TCP keepalive, of connections from clients and to backends; times in seconds."""

from __future__ import annotations

from shared.ir.base import IR


class TcpKeepalive(IR, frozen=True):
    probes: int | None = None
    idle_time: int | None = None
    interval: int | None = None
