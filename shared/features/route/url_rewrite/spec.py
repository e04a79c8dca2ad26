"""URLRewrite as the Gateway API writes it, and the extended one of Envoy Gateway's HTTPRouteFilter."""

from __future__ import annotations

from shared.api.base import Spec


class RewritePathSpec(Spec, frozen=True):
    type: str
    replace_full_path: str | None = None
    replace_prefix_match: str | None = None


class UrlRewriteSpec(Spec, frozen=True):
    hostname: str | None = None
    path: RewritePathSpec | None = None


class RegexReplaceSpec(Spec, frozen=True):
    pattern: str = ""
    substitution: str = ""


class ExtendedPathSpec(Spec, frozen=True):
    type: str
    replace_regex_match: RegexReplaceSpec | None = None


class ExtendedHostSpec(Spec, frozen=True):
    type: str
    header: str | None = None
    path_regex: RegexReplaceSpec | None = None


class ExtendedRewriteSpec(Spec, frozen=True):
    hostname: ExtendedHostSpec | None = None
    path: ExtendedPathSpec | None = None
    append_x_forwarded_host: bool | None = None
