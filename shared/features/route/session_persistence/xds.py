"""Session persistence in Envoy: a stateful session filter, disabled on the listener and configured by each route that wants it."""

from __future__ import annotations

from shared.features.parts.xds_values import duration
from shared.ir.http import HttpRoute
from shared.ir.match import StringMatch
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.stateful_session"
_PACKAGE = "envoy.extensions.filters.http.stateful_session.v3"


def _cookie_path(match: StringMatch | None) -> str:
    """The path that the cookie is for: that of the match, of a regex its longest part without a star."""
    if match is None:
        return "/"
    if match.safe_regex is None:
        return match.exact or match.prefix or "/"
    plain = []
    for part in match.safe_regex.split("/"):
        if "*" in part:
            break
        plain.append(part)
    return "/".join(plain)


def _session(route: HttpRoute) -> Fields | None:
    """StatefulSession; None for a route without session persistence."""
    persistence = route.session_persistence
    if persistence is None:
        return None
    if persistence.cookie is not None:
        cookie: Fields = {"name": persistence.cookie.name, "path": _cookie_path(route.path_match)}
        if persistence.cookie.ttl is not None:
            cookie["ttl"] = duration(persistence.cookie.ttl)
        state = pack("envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState", {"cookie": cookie})
        return {"session_state": {"name": "envoy.http.stateful_session.cookie", "typed_config": state}}
    if persistence.header is not None:
        state = pack("envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState", {"name": persistence.header.name})
        return {"session_state": {"name": "envoy.http.stateful_session.header", "typed_config": state}}
    return None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route; its own configuration never takes effect."""
    session = _session(route)
    if session is None:
        return {}
    return {NAME: {"name": NAME, "typed_config": pack(f"{_PACKAGE}.StatefulSession", session), "disabled": True}}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: this route's configuration of the filter."""
    session = _session(route)
    return {NAME: pack(f"{_PACKAGE}.StatefulSessionPerRoute", {"stateful_session": session})} if session is not None else {}
