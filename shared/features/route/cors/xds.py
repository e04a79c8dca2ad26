"""CORS in Envoy: one filter on the listener as soon as some route asks for it, a policy on each route that does."""

from __future__ import annotations

from shared.features.parts.xds_values import nanoseconds, string_matcher, wrapped
from shared.features.route.cors.ir import Cors
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.cors"


def _joined(values: tuple[str, ...]) -> str:
    # Envoy knows '*' only alone; within a list it would be a literal
    return "*" if "*" in values else ", ".join(values)


def _policy(cors: Cors) -> Fields:
    return {
        "allow_origin_string_match": [string_matcher(o) for o in cors.allow_origins],
        "allow_methods": _joined(cors.allow_methods),
        "allow_headers": _joined(cors.allow_headers),
        "expose_headers": ", ".join(cors.expose_headers),
        "max_age": str(nanoseconds(cors.max_age) // 10**9) if cors.max_age is not None else "",
        "allow_credentials": wrapped(cors.allow_credentials),
        "forward_not_matching_preflights": wrapped(False),
    }


def _of(route: HttpRoute) -> Cors | None:
    """HTTPRoute's own CORS filter goes before a SecurityPolicy's."""
    if route.cors is not None:
        return route.cors
    return route.security.cors if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {NAME: {"name": NAME, "typed_config": pack("envoy.extensions.filters.http.cors.v3.Cors")}} if _of(route) is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: this route's configuration of the filter."""
    cors = _of(route)
    return {NAME: pack("envoy.extensions.filters.http.cors.v3.CorsPolicy", _policy(cors))} if cors is not None else {}
