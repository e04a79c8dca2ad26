"""PROXY protocol towards backends: version V1 or V2."""

from __future__ import annotations

from typing import Literal

from shared.ir.base import IR


class ProxyProtocol(IR, frozen=True):
    version: Literal["V1", "V2"] = "V1"
