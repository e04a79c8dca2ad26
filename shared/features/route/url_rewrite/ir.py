"""IR of a URL rewrite: path (full, prefix or regex) and host."""

from __future__ import annotations

from shared.ir.base import IR


class RegexRewrite(IR, frozen=True):
    pattern: str
    substitution: str = ""


class PathModifier(IR, frozen=True):
    """One of the three."""

    full_replace: str | None = None
    prefix_match_replace: str | None = None
    regex_match_replace: RegexRewrite | None = None


class HostModifier(IR, frozen=True):
    """One of: a fixed name, a request header's value, the backend's name, a regex over the path."""

    name: str | None = None
    header: str | None = None
    backend: bool | None = None
    path_regex: RegexRewrite | None = None


class UrlRewrite(IR, frozen=True):
    path: PathModifier | None = None
    host: HostModifier | None = None
    append_x_forwarded_host: bool | None = None
