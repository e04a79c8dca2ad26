"""JWT in Envoy: one filter on the listener that knows the providers of all its routes, and on each route what it requires.

Providers and requirements are named by their content, so that routes share what is equal, and nothing of one route hangs on another.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from shared.features.parts.external import Service, cluster_of, http_uri, request_timeout, retry_policy
from shared.features.parts.per_route import Shared, piece
from shared.features.parts.xds_values import Unrenderable, duration, given
from shared.features.security.jwt.ir import HeaderExtractor, Jwt, JwtProvider, RemoteJwks
from shared.ir.http import HttpRoute
from shared.ir.security import SecurityFeatures
from shared.xds.message import Fields, pack
from shared.xds.ordered import in_order

NAME = "envoy.filters.http.jwt_authn"
_MESSAGES = "envoy.extensions.filters.http.jwt_authn.v3"
_LONGEST_NAME = 256
PROVIDERS, REQUIREMENTS = "providers", "requirement_map"


class Required(NamedTuple):
    """What a route requires: the requirement's name, and all that its filter has to know of it, by the names of its pieces."""

    name: str
    pieces: Mapping[str, Fields]


def _named(prefix: str, message: str, fields: Fields) -> str:
    suffix = "_" + hashlib.sha256(in_order(f"{_MESSAGES}.{message}", fields)).hexdigest()[:16]
    return prefix.encode()[: _LONGEST_NAME - len(suffix)].decode(errors="ignore") + suffix


@functools.lru_cache(maxsize=1024)
def required(jwt: Jwt) -> Required:
    pieces: dict[str, Fields] = {}
    any_of: list[Fields] = []
    for each in jwt.providers:
        provider = _provider(each)
        name = _named(each.name, "JwtProvider", provider)
        pieces[piece(NAME, PROVIDERS, name)] = provider
        any_of.append({"provider_name": name})
    names = [p.name for p in jwt.providers]
    if jwt.allow_missing_or_failed:
        any_of.append({"allow_missing_or_failed": {}})
        names.append("missing-or-failed")
    elif jwt.allow_missing:
        any_of.append({"allow_missing": {}})
        names.append("missing")
    requirement: Fields = any_of[0] if len(any_of) == 1 else {"requires_any": {"requirements": any_of}}
    name = _named("-or-".join(names), "JwtRequirement", requirement)
    pieces[piece(NAME, REQUIREMENTS, name)] = requirement
    return Required(name, pieces)


def _provider(of: JwtProvider) -> Fields:
    places = of.extract_from
    fields: Fields = {
        "issuer": of.issuer,
        "audiences": list(of.audiences),
        "payload_in_metadata": of.name,
        "claim_to_headers": [{"header_name": c.header, "claim_name": c.claim} for c in of.claim_to_headers],
        "forward": True,
        # scopes become lists, which authorization can look into
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope", "scp"]},
        "clear_route_cache": bool(of.recompute_route),
    }
    if places is not None:
        fields |= {
            "from_headers": [_header(h) for h in places.headers],
            "from_cookies": list(places.cookies),
            "from_params": list(places.params),
        }
    if of.local_jwks is not None:
        return fields | {"local_jwks": {"inline_string": of.local_jwks}}
    if of.remote_jwks is None:
        raise Unrenderable(f"jwt provider {of.name} has no keys")
    return fields | {"remote_jwks": _remote(of.remote_jwks)}


def _header(of: HeaderExtractor) -> Fields:
    return given({"name": of.name, "value_prefix": of.value_prefix})


def _remote(of: RemoteJwks) -> Fields:
    refetch = of.failed_refetch_duration
    return given(
        {
            "http_uri": http_uri(of.uri, cluster_of(of.destination, of.uri), request_timeout(of.traffic)),
            "cache_duration": duration(of.cache_duration) if of.cache_duration is not None else None,
            "async_fetch": {"failed_refetch_duration": duration(refetch)} if refetch is not None else {},
            "retry_policy": retry_policy(of.traffic),
        }
    )


def _of(route: HttpRoute) -> Jwt | None:
    jwt = route.security.jwt if route.security is not None else None
    return jwt if jwt is not None and jwt.providers else None


def filters(route: HttpRoute) -> Mapping[str, Fields]:
    """Piece -> entry of the listener's filter that this route needs."""
    jwt = _of(route)
    return required(jwt).pieces if jwt is not None else {}


def whole(pieces: Mapping[str, Mapping[str, Fields]]) -> Fields:
    """HttpFilter of a listener from the pieces of all its routes."""
    fields = {field: dict(entries) for field, entries in pieces.items()}
    return {"name": NAME, "typed_config": pack(f"{_MESSAGES}.JwtAuthentication", fields)}


SHARED: Shared = {NAME: lambda _, pieces, __: {NAME: whole(pieces)}}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: which requirement this route has."""
    jwt = _of(route)
    return {NAME: _requires(required(jwt).name)} if jwt is not None else {}


@functools.lru_cache(maxsize=1024)
def _requires(name: str) -> Fields:
    return pack(f"{_MESSAGES}.PerRouteConfig", {"requirement_name": name})


def services(of: SecurityFeatures) -> Iterator[Service]:
    """Where keys come from."""
    for provider in of.jwt.providers if of.jwt is not None else ():
        remote = provider.remote_jwks
        if remote is not None:
            yield Service(remote.destination, remote.uri, remote.traffic)
