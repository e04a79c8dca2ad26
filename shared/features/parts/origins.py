"""Origins as people write them: with wildcards."""

from __future__ import annotations

import re

from shared.ir.match import StringMatch

_META = re.compile(r"([\\.+*?()|\[\]{}^$])")


def origin_match(origin: str) -> StringMatch:
    """A match of an origin; a '*' stands for anything."""
    if "*" not in origin:
        return StringMatch(exact=origin)
    return StringMatch(safe_regex=_META.sub(r"\\\1", origin).replace(r"\*", ".*"))
