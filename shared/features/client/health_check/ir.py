"""A path on which a listener itself answers, for load balancers before the proxy."""

from __future__ import annotations

from shared.ir.base import IR


class ClientHealthCheck(IR, frozen=True):
    path: str
