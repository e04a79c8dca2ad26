"""TCP keepalive as policies write it, for connections from clients and to backends."""

from __future__ import annotations

from shared.api.base import Spec


class TcpKeepaliveSpec(Spec, frozen=True):
    probes: int | None = None
    idle_time: str | None = None
    interval: str | None = None
