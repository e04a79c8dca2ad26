"""IR of an answer that the proxy gives itself. `body` is base64."""

from __future__ import annotations

from shared.ir.base import IR


class DirectResponse(IR, frozen=True):
    status_code: int
    body: str = ""
