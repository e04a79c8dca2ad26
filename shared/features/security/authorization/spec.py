"""Authorization as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

import msgspec

from shared.api.base import Spec


class ClaimSpec(Spec, frozen=True):
    name: str
    value_type: str | None = None
    values: tuple[str, ...] = ()


class JwtPrincipalSpec(Spec, frozen=True):
    provider: str
    claims: tuple[ClaimSpec, ...] = ()
    scopes: tuple[str, ...] = ()


class HeaderValuesSpec(Spec, frozen=True):
    name: str
    values: tuple[str, ...] = ()


class AnonymitySpec(Spec, frozen=True):
    is_anonymous: bool | None = None
    is_vpn: bool | None = msgspec.field(default=None, name="isVPN")
    is_hosting: bool | None = None
    is_tor: bool | None = None
    is_proxy: bool | None = None


class GeoLocationSpec(Spec, frozen=True):
    country: str | None = None
    region: str | None = None
    city: str | None = None
    asn: int | None = None
    isp: str | None = None
    anonymous: AnonymitySpec | None = None


class PrincipalSpec(Spec, frozen=True):
    client_cidrs: tuple[str, ...] = msgspec.field(default=(), name="clientCIDRs")
    jwt: JwtPrincipalSpec | None = None
    headers: tuple[HeaderValuesSpec, ...] = ()
    client_ip_geo_locations: tuple[GeoLocationSpec, ...] = msgspec.field(default=(), name="clientIPGeoLocations")


class PathSpec(Spec, frozen=True):
    value: str = "/"
    type: str | None = None
    invert: bool | None = None


class OperationSpec(Spec, frozen=True):
    methods: tuple[str, ...] = ()
    path: PathSpec | None = None


class RuleSpec(Spec, frozen=True):
    action: str
    name: str | None = None
    principal: PrincipalSpec | None = None
    operation: OperationSpec | None = None
    cel: str | None = None


class AuthorizationSpec(Spec, frozen=True):
    """Denies what no rule matches, unless it says otherwise."""

    rules: tuple[RuleSpec, ...] = ()
    default_action: str = "Deny"
