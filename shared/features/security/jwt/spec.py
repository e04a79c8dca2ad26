"""JWT authentication as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec
from shared.features.parts.service_spec import ServiceSpec

KEY = "jwks"
"""Where keys stand in a ConfigMap; if they do not, its first value counts."""


class RemoteJwksSpec(ServiceSpec, frozen=True):
    uri: str = ""
    cache_duration: str | None = None
    failed_refetch_duration: str | None = None


class LocalObjectRef(Spec, frozen=True):
    name: str
    group: str = ""
    kind: str = "ConfigMap"


class LocalJwksSpec(Spec, frozen=True):
    """Inline, or by reference to a ConfigMap (`type` ValueRef)."""

    type: str = "Inline"
    inline: str | None = None
    value_ref: LocalObjectRef | None = None


class ClaimToHeaderSpec(Spec, frozen=True):
    header: str = ""
    claim: str = ""


class HeaderExtractorSpec(Spec, frozen=True):
    name: str
    value_prefix: str | None = None


class JwtExtractorSpec(Spec, frozen=True):
    headers: tuple[HeaderExtractorSpec, ...] = ()
    cookies: tuple[str, ...] = ()
    params: tuple[str, ...] = ()


class JwtProviderSpec(Spec, frozen=True):
    """One of `remote_jwks` and `local_jwks`."""

    name: str = ""
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    remote_jwks: RemoteJwksSpec | None = msgspec.field(default=None, name="remoteJWKS")
    local_jwks: LocalJwksSpec | None = msgspec.field(default=None, name="localJWKS")
    claim_to_headers: tuple[ClaimToHeaderSpec, ...] = ()
    recompute_route: bool | None = None
    extract_from: JwtExtractorSpec | None = None


class JwtSpec(Spec, frozen=True):
    """`optional`: requests without a token pass; `fail_open`: those with a wrong one, too."""

    providers: tuple[JwtProviderSpec, ...] = ()
    optional: bool = False
    fail_open: bool = False
