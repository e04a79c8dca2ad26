"""URL rewrites in Envoy: fields of a RouteAction, and of one backend's share of a weighted route."""

from __future__ import annotations

from shared.features.parts.xds_path import cut_prefix, needs_regex
from shared.features.route.url_rewrite.ir import HostModifier, PathModifier, RegexRewrite
from shared.ir.destination import BackendFilters
from shared.ir.http import HttpRoute
from shared.ir.match import StringMatch
from shared.xds.message import Fields


def _substitution(rewrite: RegexRewrite) -> Fields:
    return {"pattern": {"regex": rewrite.pattern}, "substitution": rewrite.substitution}


def _path(modifier: PathModifier, match: StringMatch | None) -> Fields:
    if modifier.full_replace is not None:
        return {"regex_rewrite": {"pattern": {"regex": "^/.*$"}, "substitution": modifier.full_replace}}
    if modifier.prefix_match_replace is not None:
        if match is not None and needs_regex(match, modifier.prefix_match_replace):
            return {"regex_rewrite": cut_prefix(match.prefix or "")}
        # the matched prefix has lost its trailing slash, so the replacement loses its own
        return {"prefix_rewrite": modifier.prefix_match_replace.removesuffix("/")}
    if modifier.regex_match_replace is not None:
        return {"regex_rewrite": _substitution(modifier.regex_match_replace)}
    return {}


def _host(modifier: HostModifier, dynamic: bool) -> Fields:
    if modifier.name is not None:
        return {"host_rewrite_literal": modifier.name}
    if modifier.header is not None:
        return {"host_rewrite_header": modifier.header}
    if modifier.backend is not None and not dynamic:
        return {"auto_host_rewrite": {"value": True}}
    if modifier.path_regex is not None:
        return {"host_rewrite_path_regex": _substitution(modifier.path_regex)}
    return {}


def on_action(route: HttpRoute) -> Fields:
    """Fields that the rewrite adds to the RouteAction."""
    rewrite = route.url_rewrite
    if rewrite is None:
        return {}
    out: Fields = {}
    if rewrite.path is not None:
        out |= _path(rewrite.path, route.path_match)
    if rewrite.host is not None:
        settings = route.destination.settings if route.destination is not None else ()
        out |= _host(rewrite.host, dynamic=len(settings) == 1 and settings[0].is_dynamic_resolver)
        if rewrite.append_x_forwarded_host is not False:
            out["append_x_forwarded_host"] = True
    return out


def on_weight(filters: BackendFilters) -> Fields:
    """Fields that one backend's own rewrite adds to its ClusterWeight: Envoy takes the host only."""
    rewrite = filters.url_rewrite
    if rewrite is None or rewrite.host is None or rewrite.host.name is None:
        return {}
    return {"host_rewrite_literal": rewrite.host.name}
