"""String matches and header edits: the smallest parts that many features share."""

from __future__ import annotations

from shared.ir.base import IR


class StringMatch(IR, frozen=True):
    """One of exact, prefix, suffix, safe_regex (RE2); `name` is a header's, parameter's or cookie's name where it has one."""

    name: str = ""
    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    safe_regex: str | None = None
    distinct: bool = False
    invert: bool = False


class AddHeader(IR, frozen=True):
    """Values for one header: appended, set (append=False), or only where it is absent."""

    name: str
    value: tuple[str, ...] = ()
    append: bool = False
    add_if_absent: bool = False


class MapEntry(IR, frozen=True):
    key: str
    value: str
