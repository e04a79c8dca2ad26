"""URL rewrites: one core rewrite and one extended rewrite a rule, as long as they touch different parts."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.parts.filters import Filters
from shared.features.parts.hostname import hostname_fault
from shared.features.parts.problem import not_accepted
from shared.features.parts.regex import regex_fault
from shared.features.route.url_rewrite.ir import HostModifier, PathModifier, RegexRewrite, UrlRewrite
from shared.features.route.url_rewrite.spec import ExtendedHostSpec, ExtendedRewriteSpec, RegexReplaceSpec, RewritePathSpec, UrlRewriteSpec

_MULTIPLE = "cannot configure multiple urlRewrite filters for a single HTTPRouteRule"
_FIELDS = {"ReplaceFullPath": "replace_full_path", "ReplacePrefixMatch": "replace_prefix_match"}


def _core(path: PathModifier | None, host: HostModifier | None) -> tuple[bool, bool]:
    core_path = path is not None and (path.full_replace is not None or path.prefix_match_replace is not None)
    return core_path, host is not None and host.name is not None


def _extended(path: PathModifier | None, host: HostModifier | None) -> tuple[bool, bool]:
    extended_host = host is not None and (host.header is not None or host.backend is not None or host.path_regex is not None)
    return path is not None and path.regex_match_replace is not None, extended_host


def _path(spec: RewritePathSpec) -> tuple[PathModifier | None, str | None]:
    if spec.type not in _FIELDS:
        return None, f'rewrite path type: {spec.type} is invalid, only "ReplaceFullPath" and "ReplacePrefixMatch" are supported'
    other = "ReplacePrefixMatch" if spec.type == "ReplaceFullPath" else "ReplaceFullPath"
    if getattr(spec, _FIELDS[other]) is not None:
        return None, f'{other} cannot be set when rewrite path type is "{spec.type}"'
    if getattr(spec, _FIELDS[spec.type]) is None:
        return None, f'{spec.type} must be set when rewrite path type is "{spec.type}"'
    return PathModifier(full_replace=spec.replace_full_path, prefix_match_replace=spec.replace_prefix_match), None


def apply(spec: UrlRewriteSpec, before: Filters) -> Filters:
    """The Gateway API's own rewrite."""
    so_far = before.url_rewrite or UrlRewrite()
    has = any(_core(so_far.path, so_far.host)) and (spec.hostname is not None or spec.path is not None)
    extended_path, extended_host = _extended(so_far.path, so_far.host)
    if has or (spec.hostname is not None and extended_host) or (spec.path is not None and extended_path):
        return before.failed(not_accepted(_MULTIPLE))
    host = so_far.host
    if spec.hostname is not None:
        if fault := hostname_fault(spec.hostname):
            return before.failed(not_accepted(fault))
        host = host or HostModifier(name=spec.hostname)
    path = so_far.path
    if spec.path is not None:
        made, fault = _path(spec.path)
        if fault:
            kept = replace(before, url_rewrite=replace(so_far, host=host)) if host is not None else before
            return kept.failed(not_accepted(fault))
        path = path or made
    if host is None and path is None:
        return before
    return replace(before, url_rewrite=replace(so_far, path=path, host=host))


def _regex(spec: RegexReplaceSpec | None, what: str, needs_substitution: bool = False) -> tuple[RegexRewrite | None, str | None]:
    if spec is None or not spec.pattern or (needs_substitution and not spec.substitution):
        return None, f"{what} Pattern{' and Substitution' if needs_substitution else ''} must be set"
    if regex_fault(spec.pattern):
        return None, f"{what} must be a valid RE2 regular expression"
    return RegexRewrite(pattern=spec.pattern, substitution=spec.substitution), None


def _host(spec: ExtendedHostSpec) -> tuple[HostModifier | None, str | None]:
    if spec.type == "Header":
        return (HostModifier(header=spec.header), None) if spec.header is not None else (None, "Header must be set")
    if spec.type == "Backend":
        return HostModifier(backend=True), None
    if spec.type == "PathRegex":
        regex, fault = _regex(spec.path_regex, "PathRegex", needs_substitution=True)
        return (HostModifier(path_regex=regex), None) if regex else (None, fault)
    return None, f"hostname rewrite type {spec.type} is not supported"


def apply_extended(spec: ExtendedRewriteSpec, before: Filters) -> Filters:
    """The rewrite of an HTTPRouteFilter."""
    so_far = before.url_rewrite or UrlRewrite()
    core_path, core_host = _core(so_far.path, so_far.host)
    again = any(_extended(so_far.path, so_far.host)) and (spec.hostname is not None or spec.path is not None)
    if again or (spec.hostname is not None and core_host) or (spec.path is not None and core_path):
        return before.failed(not_accepted(_MULTIPLE))
    if spec.path is not None and spec.path.type == "ReplaceRegexMatch":
        regex, fault = _regex(spec.path.replace_regex_match, "ReplaceRegexMatch")
        if regex is None:
            return before.failed(not_accepted(fault or ""))
        so_far = replace(so_far, path=so_far.path or PathModifier(regex_match_replace=regex))
    if spec.hostname is not None:
        host, fault = _host(spec.hostname)
        if host is None:
            return replace(before, url_rewrite=so_far if so_far != UrlRewrite() else None).failed(not_accepted(fault or ""))
        so_far = replace(so_far, host=so_far.host or host)
    if spec.append_x_forwarded_host is not None:
        so_far = replace(so_far, append_x_forwarded_host=spec.append_x_forwarded_host)
    return replace(before, url_rewrite=so_far) if so_far != UrlRewrite() else before
