"""Places of clients: who asks for them, and which listeners can tell. The translator's tests and xds_server use the same functions."""

from __future__ import annotations

from shared.features.security.authorization.ir import GeoIpProvider
from shared.ir.http import HttpListener, HttpRoute


def asks_places(route: HttpRoute) -> bool:
    """Whether rules of a route ask where a client is."""
    of = route.security.authorization if route.security is not None else None
    return of is not None and any(rule.principal.client_ip_geo_locations for rule in of.rules)


def knows_places(listener: HttpListener, provider: GeoIpProvider | None) -> bool:
    """Whether a listener can look its clients up: it has to say how it finds their addresses, in a way that the look-up knows, too."""
    of = listener.client_ip_detection
    if provider is None or of is None:
        return False
    ways = [way for way in (of.x_forwarded_for, of.custom_header, of.direct_source_ip) if way is not None]
    return len(ways) == 1 and not (of.x_forwarded_for is not None and of.x_forwarded_for.trusted_cidrs)
