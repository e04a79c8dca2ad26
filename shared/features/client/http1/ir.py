"""HTTP/1 settings of a listener; those of headers go for backends too."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import StringMatch


class Http10(IR, frozen=True):
    default_host: str | None = None


class Http1(IR, frozen=True):
    enable_trailers: bool = False
    preserve_header_case: bool = False
    http10: Http10 | None = None
    disable_safe_max_connection_duration: bool = False
    ignored_upgrade_types: tuple[StringMatch, ...] = ()
