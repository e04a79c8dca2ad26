"""IR of CORS, in the assembled IR at `security.cors`."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import StringMatch


class Cors(IR, frozen=True):
    """`max_age` is a Go duration ("10m0s")."""

    allow_origins: tuple[StringMatch, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str | None = None
    allow_credentials: bool = False
