"""Protocols that requests may be upgraded to, as a BackendTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec


class ConnectSpec(Spec, frozen=True):
    terminate: bool = False


class HttpUpgradeSpec(Spec, frozen=True):
    type: str
    connect: ConnectSpec | None = None
