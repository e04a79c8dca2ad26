"""Redirects in Envoy: the RedirectAction of a route."""

from __future__ import annotations

from shared.features.parts.xds_path import cut_prefix, needs_regex
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

# 301 is Envoy's default
_CODES = {302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
# a well-known port would only show up in the Location header
_UNSAID_PORTS = (80, 443)


def action(route: HttpRoute) -> Fields | None:
    """RedirectAction; None for a route without a redirect."""
    redirect = route.redirect
    if redirect is None:
        return None
    out: Fields = {}
    if redirect.scheme is not None:
        out["scheme_redirect"] = redirect.scheme
    path = redirect.path
    if path is not None and path.full_replace is not None:
        out["path_redirect"] = path.full_replace
    elif path is not None and path.prefix_match_replace is not None:
        if route.path_match is not None and needs_regex(route.path_match, path.prefix_match_replace):
            out["regex_rewrite"] = cut_prefix(route.path_match.prefix or "")
        else:
            out["prefix_rewrite"] = path.prefix_match_replace
    if redirect.hostname is not None:
        out["host_redirect"] = redirect.hostname
    if redirect.port is not None and redirect.port not in _UNSAID_PORTS:
        out["port_redirect"] = redirect.port
    if redirect.status_code in _CODES:
        out["response_code"] = _CODES[redirect.status_code]
    return out
