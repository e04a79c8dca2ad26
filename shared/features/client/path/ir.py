"""What a listener does to paths before a route is chosen, with Envoy Gateway's field names."""

from __future__ import annotations

from typing import Literal

from shared.ir.base import IR

EscapedSlashes = Literal["KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect"]


class PathSettings(IR, frozen=True):
    merge_slashes: bool = False
    escaped_slashes_action: EscapedSlashes | Literal[""] = ""
