"""Header edits stand in the IR as the four fields of Envoy Gateway's HTTPRoute; this is the value that translation passes around."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import AddHeader


class HeaderEdits(IR, frozen=True):
    add: tuple[AddHeader, ...] = ()
    remove: tuple[str, ...] = ()
