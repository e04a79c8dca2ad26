"""Protocols that requests may be upgraded to."""

from __future__ import annotations

from collections.abc import Iterable

from shared.features.traffic.http_upgrade.ir import Connect, HttpUpgrade
from shared.features.traffic.http_upgrade.spec import HttpUpgradeSpec


def translate(specs: Iterable[HttpUpgradeSpec]) -> tuple[HttpUpgrade, ...]:
    return tuple(
        HttpUpgrade(type=each.type, connect=Connect(terminate=each.connect.terminate) if each.connect is not None else None)
        for each in specs
    )
