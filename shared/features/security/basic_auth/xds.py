"""Basic authentication in Envoy: a filter for each policy on the listener, off until a route asks for it. Users are opened by then."""

from __future__ import annotations

import functools

from shared.features.parts.per_route import off
from shared.features.parts.private import clear
from shared.features.security.basic_auth.ir import BasicAuth
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.basic_auth"
_MESSAGES = "envoy.extensions.filters.http.basic_auth.v3"


def _name(of: BasicAuth) -> str:
    return f"{NAME}/{of.name}"


def _users(of: BasicAuth) -> Fields:
    # a carriage return would be taken for a part of the hash
    return {"inline_bytes": clear(of.users).replace(b"\r\n", b"\n")}


@functools.lru_cache(maxsize=256)
def _filter(of: BasicAuth) -> Fields:
    fields: Fields = {"users": _users(of)}
    if of.forward_username_header:
        fields["forward_username_header"] = of.forward_username_header
    return off(_name(of), f"{_MESSAGES}.BasicAuth", fields)


@functools.lru_cache(maxsize=256)
def _per_route(of: BasicAuth) -> Fields:
    return pack(f"{_MESSAGES}.BasicAuthPerRoute", {"users": _users(of)})


def _of(route: HttpRoute) -> BasicAuth | None:
    return route.security.basic_auth if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    of = _of(route)
    return {_name(of): _filter(of)} if of is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the users of this route."""
    of = _of(route)
    return {_name(of): _per_route(of)} if of is not None else {}
