"""What a SecurityPolicy says of the requests to a route."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from shared.features.route.cors.ir import Cors
from shared.features.security.api_key_auth.ir import ApiKeyAuth
from shared.features.security.authorization.ir import Authorization
from shared.features.security.basic_auth.ir import BasicAuth
from shared.features.security.csrf.ir import Csrf
from shared.features.security.ext_auth.ir import ExtAuth
from shared.features.security.jwt.ir import Jwt, JwtProvider
from shared.features.security.oidc.ir import Oidc
from shared.ir.base import IR
from shared.ir.destination import Destination


class SecurityFeatures(IR, frozen=True):
    cors: Cors | None = None
    csrf: Csrf | None = None
    jwt: Jwt | None = None
    oidc: Oidc | None = None
    api_key_auth: ApiKeyAuth | None = msgspec.field(default=None, name="apiKeyAuth")
    basic_auth: BasicAuth | None = None
    ext_auth: ExtAuth | None = None
    authorization: Authorization | None = None


def destinations(of: SecurityFeatures) -> Iterator[Destination]:
    """Every service that a policy makes the proxy ask."""
    for provider in of.jwt.providers if of.jwt is not None else ():
        if provider.remote_jwks is not None and provider.remote_jwks.destination is not None:
            yield provider.remote_jwks.destination
    if of.oidc is not None and of.oidc.provider.destination is not None:
        yield of.oidc.provider.destination
    for service in (of.ext_auth.http, of.ext_auth.grpc) if of.ext_auth is not None else ():
        if service is not None:
            yield service.destination


def with_destinations(of: SecurityFeatures, change: Callable[[Destination], Destination]) -> SecurityFeatures:
    """The same with each of its destinations changed."""
    if next(destinations(of), None) is None:
        return of
    if of.jwt is not None:
        of = replace(of, jwt=replace(of.jwt, providers=tuple(_provider(p, change) for p in of.jwt.providers)))
    if of.oidc is not None and of.oidc.provider.destination is not None:
        provider = replace(of.oidc.provider, destination=change(of.oidc.provider.destination))
        of = replace(of, oidc=replace(of.oidc, provider=provider))
    auth = of.ext_auth
    if auth is not None and auth.http is not None:
        auth = replace(auth, http=replace(auth.http, destination=change(auth.http.destination)))
    if auth is not None and auth.grpc is not None:
        auth = replace(auth, grpc=replace(auth.grpc, destination=change(auth.grpc.destination)))
    return replace(of, ext_auth=auth)


def _provider(of: JwtProvider, change: Callable[[Destination], Destination]) -> JwtProvider:
    remote = of.remote_jwks
    if remote is None or remote.destination is None:
        return of
    return replace(of, remote_jwks=replace(remote, destination=change(remote.destination)))
