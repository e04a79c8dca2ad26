"""API keys in Envoy: one filter on the listener, off until a route says which keys it takes. Keys are opened by then."""

from __future__ import annotations

import functools

from shared.features.parts.per_route import off
from shared.features.parts.private import clear
from shared.features.security.api_key_auth.ir import ApiKeyAuth
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.api_key_auth"
_MESSAGES = "envoy.extensions.filters.http.api_key_auth.v3"


def _config(of: ApiKeyAuth) -> Fields:
    fields: Fields = {
        "credentials": [{"client": _text(c.client), "key": _text(c.key)} for c in of.credentials],
        "key_sources": [
            {kind: name}
            for each in of.extract_from
            for kind, names in (("header", each.headers), ("query", each.params), ("cookie", each.cookies))
            for name in names
        ],
    }
    if of.forward_client_id_header or of.sanitize:
        fields["forwarding"] = {"header": of.forward_client_id_header or "", "hide_credentials": bool(of.sanitize)}
    return fields


def _text(value: str) -> str:
    return clear(value).decode(errors="replace")


@functools.lru_cache(maxsize=256)
def _filter(of: ApiKeyAuth) -> Fields:
    return off(NAME, f"{_MESSAGES}.ApiKeyAuth", _config(of))


@functools.lru_cache(maxsize=256)
def _per_route(of: ApiKeyAuth) -> Fields:
    return pack(f"{_MESSAGES}.ApiKeyAuthPerRoute", _config(of))


def _of(route: HttpRoute) -> ApiKeyAuth | None:
    return route.security.api_key_auth if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route; what it says counts nowhere, as each route says its own."""
    of = _of(route)
    return {NAME: _filter(of)} if of is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the keys of this route."""
    of = _of(route)
    return {NAME: _per_route(of)} if of is not None else {}
