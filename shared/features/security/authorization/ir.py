"""IR of authorization: rules in order, the first that matches decides."""

from __future__ import annotations

import msgspec

from shared.ir.base import IR


class CidrMatch(IR, frozen=True):
    """`cidr` is a network with its length, in canonical form."""

    cidr: str
    is_ipv6: bool = msgspec.field(default=False, name="isIPv6")
    mask_len: int = 0


class ClaimMatch(IR, frozen=True):
    """`value_type` is String or StringArray; a nested claim has dots in its name."""

    name: str
    value_type: str | None = None
    values: tuple[str, ...] = ()


class JwtPrincipal(IR, frozen=True):
    provider: str
    claims: tuple[ClaimMatch, ...] = ()
    scopes: tuple[str, ...] = ()


class HeaderValues(IR, frozen=True):
    name: str
    values: tuple[str, ...] = ()


class Anonymity(IR, frozen=True):
    is_anonymous: bool | None = None
    is_vpn: bool | None = msgspec.field(default=None, name="isVPN")
    is_hosting: bool | None = None
    is_tor: bool | None = None
    is_proxy: bool | None = None


class GeoLocation(IR, frozen=True):
    country: str | None = None
    region: str | None = None
    city: str | None = None
    asn: int | None = None
    isp: str | None = None
    anonymous: Anonymity | None = None


class Principal(IR, frozen=True):
    """All that is given must match; of several values of one kind any."""

    client_cidrs: tuple[CidrMatch, ...] = msgspec.field(default=(), name="clientCIDRs")
    jwt: JwtPrincipal | None = None
    headers: tuple[HeaderValues, ...] = ()
    client_ip_geo_locations: tuple[GeoLocation, ...] = msgspec.field(default=(), name="clientIPGeoLocations")


class PathOperation(IR, frozen=True):
    value: str = ""
    type: str | None = None
    invert: bool | None = None


class Operation(IR, frozen=True):
    methods: tuple[str, ...] = ()
    path: PathOperation | None = None


class AuthorizationRule(IR, frozen=True):
    """`action` is Allow or Deny."""

    name: str
    action: str = ""
    operation: Operation | None = None
    principal: Principal = Principal()
    cel: str | None = None


class Authorization(IR, frozen=True):
    rules: tuple[AuthorizationRule, ...] = ()
    default_action: str = ""


class MaxMind(IR, frozen=True):
    """Paths of databases on the proxy's disk."""

    city_db_path: str | None = None
    country_db_path: str | None = None
    asn_db_path: str | None = None
    isp_db_path: str | None = None
    anonymous_ip_db_path: str | None = None


class GeoIpProvider(IR, frozen=True):
    """Where a listener looks up the places of its clients."""

    max_mind: MaxMind | None = None
