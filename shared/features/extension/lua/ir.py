"""IR of a Lua script. The capital letters are Envoy Gateway's own."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.ir.base import IR


class Lua(IR, frozen=True):
    """`filter_context` is any JSON object, for the script to read."""

    name: str = msgspec.field(name="Name")
    code: str = msgspec.field(default="", name="Code")
    filter_context: Any = msgspec.field(default=None, name="FilterContext")
