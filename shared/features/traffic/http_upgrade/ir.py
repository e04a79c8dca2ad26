"""Protocols that a request may ask to be upgraded to."""

from __future__ import annotations

from shared.ir.base import IR


class Connect(IR, frozen=True):
    """`terminate`: the tunnel ends at the proxy, which forwards its payload."""

    terminate: bool = False


class HttpUpgrade(IR, frozen=True):
    type: str
    connect: Connect | None = None
