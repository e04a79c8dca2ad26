"""HTTP/3 of a listener: that it is there is all it says."""

from __future__ import annotations

from shared.ir.base import IR


class Http3(IR, frozen=True):
    pass
