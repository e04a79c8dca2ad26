"""Places of clients, as Envoy has them: a filter looks an address up and writes what it finds into headers of its own, rules read those.

The headers of a listener are those that any of its routes asks for; no backend sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.features.client.ip_detection.ir import ClientIpDetection
from shared.features.parts import predicates
from shared.features.parts.per_route import piece
from shared.features.parts.xds_values import given
from shared.features.security.authorization.ir import Authorization, GeoIpProvider, GeoLocation
from shared.ir.http import HttpListener, HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.geoip"
FIELDS = "fields"
_PREFIX = "x-eg-internal-geoip-"
_HEADERS = {
    "country": "country",
    "region": "region",
    "city": "city",
    "asn": "asn",
    "isp": "isp",
    "anon": "anon",
    "anon_vpn": "anon-vpn",
    "anon_hosting": "anon-hosting",
    "anon_tor": "anon-tor",
    "anon_proxy": "anon-proxy",
}
"""Envoy's name of a field -> the end of its header."""
_KINDS = ("is_anonymous", "is_vpn", "is_hosting", "is_tor", "is_proxy")
_KIND_FIELDS = ("anon", "anon_vpn", "anon_hosting", "anon_tor", "anon_proxy")


def _asked(of: GeoLocation) -> Iterator[tuple[str, str, bool]]:
    """Field, value, and whether case counts not."""
    for field in ("country", "region", "city"):
        if (value := getattr(of, field)) is not None:
            yield field, value, True
    if of.asn is not None:
        yield "asn", str(of.asn), False
    if of.isp is not None:
        yield "isp", of.isp, True
    for kind, field in zip(_KINDS, _KIND_FIELDS, strict=True):
        if of.anonymous is not None and (flag := getattr(of.anonymous, kind)) is not None:
            yield field, "true" if flag else "false", False


def _predicate(field: str, value: str, ignore_case: bool) -> Fields:
    match: Fields = {"exact": value}
    return predicates.header(_PREFIX + _HEADERS[field], match | ({"ignore_case": True} if ignore_case else {}))


def predicates_of(locations: tuple[GeoLocation, ...]) -> list[Fields]:
    """One predicate that holds for a client at any of these places; none where there is none."""
    made = [predicates.all_of([_predicate(*asked) for asked in _asked(each)]) for each in locations]
    return predicates.any_of([p for each in made for p in each])


def fields_of(of: Authorization | None) -> frozenset[str]:
    """What rules ask of a client's place."""
    rules = of.rules if of is not None else ()
    return frozenset(field for rule in rules for each in rule.principal.client_ip_geo_locations for field, _, _ in _asked(each))


def fields_of_route(route: HttpRoute) -> frozenset[str]:
    return fields_of(route.security.authorization) if route.security is not None else frozenset()


def headers_of(fields: frozenset[str]) -> tuple[str, ...]:
    """The headers that these fields are in, for no backend to see."""
    return tuple(_PREFIX + header for field, header in _HEADERS.items() if field in fields)


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Piece -> entry of the listener's filter that this route needs."""
    return {piece(NAME, FIELDS, field): {} for field in fields_of_route(route)}


def whole(listener: HttpListener, pieces: Mapping[str, Mapping[str, Fields]]) -> Fields | None:
    """HttpFilter of a listener from what all its routes ask; None where nobody can answer."""
    provider = listener.geo_ip_provider
    if provider is None or provider.max_mind is None:
        return None
    fields: Fields = {"provider": _provider(provider, frozenset(pieces[FIELDS]))} | _source(listener.client_ip_detection)
    return {"name": NAME, "typed_config": pack("envoy.extensions.filters.http.geoip.v3.Geoip", fields)}


def _provider(of: GeoIpProvider, asked: frozenset[str]) -> Fields:
    paths = of.max_mind
    assert paths is not None
    keys = {field: _PREFIX + header for field, header in _HEADERS.items() if field in asked}
    config = given(
        {
            "city_db_path": paths.city_db_path,
            "asn_db_path": paths.asn_db_path,
            "anon_db_path": paths.anonymous_ip_db_path,
            "isp_db_path": paths.isp_db_path,
            "country_db_path": paths.country_db_path,
            "common_provider_config": {"geo_field_keys": keys},
        }
    )
    typed = pack("envoy.extensions.geoip_providers.maxmind.v3.MaxMindConfig", config)
    return {"name": "envoy.geoip_providers.maxmind", "typed_config": typed}


def _source(of: ClientIpDetection | None) -> Fields:
    """Where the address comes from; the connection's own unless the listener says otherwise."""
    if of is None:
        return {}
    if of.custom_header is not None:
        return {"custom_header_config": {"header_name": of.custom_header.name}}
    hops = of.x_forwarded_for.num_trusted_hops if of.x_forwarded_for is not None else None
    return {"xff_config": {"xff_num_trusted_hops": max(hops - 1, 0)}} if hops is not None else {}
