"""Redirects: one a rule. The port that a redirect leaves out depends on the listener, so it is filled in there."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.parts.filters import Filters
from shared.features.parts.hostname import hostname_fault
from shared.features.parts.problem import not_accepted
from shared.features.route.redirect.ir import Redirect
from shared.features.route.redirect.spec import RequestRedirectSpec
from shared.features.route.url_rewrite.ir import PathModifier

_CODES = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}


def _fault(spec: RequestRedirectSpec) -> str | None:
    if spec.scheme not in (None, "http", "https"):
        return f"scheme: {spec.scheme} is unsupported, only 'https' and 'http' are supported"
    if spec.hostname is not None and (fault := hostname_fault(spec.hostname)):
        return fault
    if spec.path is not None and spec.path.type not in ("ReplaceFullPath", "ReplacePrefixMatch"):
        return f'redirect path type: {spec.path.type} is invalid, only "ReplaceFullPath" and "ReplacePrefixMatch" are supported'
    if spec.status_code is not None and spec.status_code not in _CODES:
        return f"status code {spec.status_code} is invalid, only {', '.join(map(str, _CODES))} are supported"
    return None


def apply(spec: RequestRedirectSpec, before: Filters) -> Filters:
    if before.redirect is not None:
        return before.failed(not_accepted("cannot configure multiple requestRedirect filters for a single HTTPRouteRule"))
    if fault := _fault(spec):
        return before.failed(not_accepted(fault))
    path = None
    if spec.path is not None:
        if spec.path.type == "ReplaceFullPath" and spec.path.replace_full_path is not None:
            path = PathModifier(full_replace=spec.path.replace_full_path)
        elif spec.path.type == "ReplacePrefixMatch" and spec.path.replace_prefix_match is not None:
            path = PathModifier(prefix_match_replace=spec.path.replace_prefix_match)
    redirect = Redirect(scheme=spec.scheme, hostname=spec.hostname, path=path, port=spec.port, status_code=spec.status_code)
    return replace(before, redirect=redirect)


def at_port(redirect: Redirect, listener_port: int) -> Redirect:
    """The redirect with its port: the scheme's well-known one, or else the listener's."""
    if redirect.port is not None:
        return redirect
    return replace(redirect, port=_PORTS.get((redirect.scheme or "").lower(), listener_port))
