"""Where proxies look up the places of their clients, and why rules that ask for these cannot be carried out."""

from __future__ import annotations

from shared.api.envoy import EnvoyProxySpec, GeoIpDatabase
from shared.features.security.authorization.ir import Authorization, GeoIpProvider, MaxMind

_DATABASES = {
    "country": ("country_db_path", "city_db_path"),
    "region": ("city_db_path",),
    "city": ("city_db_path",),
    "asn": ("asn_db_path",),
    "isp": ("isp_db_path",),
    "anonymous": ("anonymous_ip_db_path",),
}
"""What is asked -> the databases of which one must be there."""


def geo_ip_provider(spec: EnvoyProxySpec) -> GeoIpProvider | None:
    provider = spec.geo_ip.provider if spec.geo_ip is not None else None
    if provider is None or provider.type != "MaxMind" or provider.max_mind is None:
        return None
    of = provider.max_mind
    made = MaxMind(
        city_db_path=_path(of.city_db_source),
        country_db_path=_path(of.country_db_source),
        asn_db_path=_path(of.asn_db_source),
        isp_db_path=_path(of.isp_db_source),
        anonymous_ip_db_path=_path(of.anonymous_ip_db_source),
    )
    return GeoIpProvider(max_mind=made)


def _path(source: GeoIpDatabase | None) -> str | None:
    return source.local.path if source is not None and source.local is not None else None


def places_fault(of: Authorization, provider: GeoIpProvider | None) -> str | None:
    """Why the proxies of a Gateway cannot tell what rules ask of a client's place; None where they can, or nothing is asked."""
    asked = {
        field
        for rule in of.rules
        for place in rule.principal.client_ip_geo_locations
        for field in _DATABASES
        if getattr(place, field) is not None
    }
    if not asked:
        return None
    if provider is None or provider.max_mind is None:
        return "authorization clientIPGeoLocations requires EnvoyProxy.spec.geoIP.provider to be configured"
    for field in sorted(asked):
        if all(getattr(provider.max_mind, name) is None for name in _DATABASES[field]):
            return f"authorization clientIPGeoLocations.{field} requires a database of EnvoyProxy.spec.geoIP.provider.maxMind that has it"
    return None


def asks_addresses(of: Authorization) -> bool:
    """Whether rules need to know a client's address well enough to look it up."""
    return any(rule.principal.client_ip_geo_locations for rule in of.rules)
