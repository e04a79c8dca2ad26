"""Envoy's format strings: text with commands like `%REQ(X-ID)%`; one that it cannot read makes it refuse the whole resource."""

from __future__ import annotations

import re

_SOUND = re.compile(r"(?:[^%]|%%|%[A-Z][A-Z0-9_]*(?:\(.*?\))?(?::[0-9]+)?%)*", re.DOTALL)


def format_fault(text: str) -> str | None:
    """What is wrong with a format string; None if nothing. Which commands there are, only Envoy knows."""
    return None if _SOUND.fullmatch(text) else f"{text[:80]!r}: a '%' that is not part of a command has to be written '%%'"


def literal(text: str) -> str:
    """A format string that gives this very text."""
    return text.replace("%", "%%")
