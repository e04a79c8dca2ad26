"""Regular expressions are RE2, as in Envoy: checked where they are written, so that no bad one reaches a proxy."""

from __future__ import annotations

import re

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_META = re.compile(r"([\\.+*?()|\[\]{}^$])")


def quoted(text: str) -> str:
    """A pattern that matches this very text."""
    return _META.sub(r"\\\1", text)


def regex_fault(pattern: str) -> str | None:
    """A sentence for a person where RE2 refuses the pattern."""
    try:
        re2.compile(pattern, options=_OPTIONS)
    except re2.error as e:
        reason = e.args[0] if e.args else e
        return f"regex {pattern!r} is invalid: {reason.decode() if isinstance(reason, bytes) else reason}"
    return None
