"""Header edits as the Gateway API writes them, for every feature that has some."""

from __future__ import annotations

from shared.api.base import Spec


class HttpHeader(Spec, frozen=True):
    name: str
    value: str = ""


class HttpHeaderFilter(Spec, frozen=True):
    set: tuple[HttpHeader, ...] = ()
    add: tuple[HttpHeader, ...] = ()
    remove: tuple[str, ...] = ()
