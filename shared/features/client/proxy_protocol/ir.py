"""PROXY protocol from clients (load balancers before the proxy); `optional`: plain connections are taken too."""

from __future__ import annotations

from shared.ir.base import IR


class ClientProxyProtocol(IR, frozen=True):
    optional: bool = False
