"""Replacing a matched path prefix: Envoy's prefix rewrite leaves a double slash behind where the replacement is empty or '/'."""

from __future__ import annotations

from shared.features.parts.regex import quoted
from shared.ir.match import StringMatch
from shared.xds.message import Fields


def needs_regex(match: StringMatch | None, replacement: str) -> bool:
    """Whether the prefix has to be cut by a regex instead of a prefix rewrite."""
    return match is not None and match.prefix is not None and replacement in ("", "/")


def cut_prefix(prefix: str) -> Fields:
    """RegexMatchAndSubstitute that replaces the prefix and the slashes after it by one slash."""
    return {"pattern": {"regex": "^" + quoted(prefix) + r"\/*"}, "substitution": "/"}
