"""IR of JWT authentication."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.traffic import Traffic


class RemoteJwks(IR, frozen=True):
    """Keys that the proxy fetches: from `destination` where it is given, otherwise from the host of the URI."""

    uri: str
    destination: Destination | None = None
    traffic: Traffic | None = None
    cache_duration: str | None = None
    failed_refetch_duration: str | None = None


class ClaimToHeader(IR, frozen=True):
    header: str
    claim: str


class HeaderExtractor(IR, frozen=True):
    name: str
    value_prefix: str | None = None


class JwtExtractor(IR, frozen=True):
    """Where a token may stand in a request; all places that are named count."""

    headers: tuple[HeaderExtractor, ...] = ()
    cookies: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


class JwtProvider(IR, frozen=True):
    """One issuer. `local_jwks` are its keys in clear: they are public."""

    name: str
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    remote_jwks: RemoteJwks | None = msgspec.field(default=None, name="remoteJWKS")
    local_jwks: str | None = msgspec.field(default=None, name="localJWKS")
    claim_to_headers: tuple[ClaimToHeader, ...] = ()
    recompute_route: bool | None = None
    extract_from: JwtExtractor | None = None


class Jwt(IR, frozen=True):
    """A token of any provider will do. `allow_missing`: none will do, too; `allow_missing_or_failed`: a wrong one as well."""

    allow_missing: bool = False
    allow_missing_or_failed: bool = False
    providers: tuple[JwtProvider, ...] = ()
