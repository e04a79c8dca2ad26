"""Bandwidth limits in Envoy: one filter for each direction, which stands off until a route says how much."""

from __future__ import annotations

import functools

from shared.features.parts.per_route import off
from shared.features.parts.xds_values import given, wrapped
from shared.features.traffic.bandwidth_limit.ir import Bandwidth
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.bandwidth_limit"
_MESSAGE = "envoy.extensions.filters.http.bandwidth_limit.v3.BandwidthLimit"
_STATS = "http_bandwidth_limiter"


def _limits(route: HttpRoute) -> dict[str, Bandwidth]:
    """Direction -> its limit."""
    limit = route.traffic.bandwidth_limit if route.traffic is not None else None
    return given({"request": limit.request, "response": limit.response}) if limit is not None else {}


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {f"{NAME}/{way}": _filter(way) for way in _limits(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: how much of this route goes through."""
    return {f"{NAME}/{way}": _config(way, limit) for way, limit in _limits(route).items()}


@functools.lru_cache(maxsize=16)
def _filter(way: str) -> Fields:
    return off(f"{NAME}/{way}", _MESSAGE, {"stat_prefix": _STATS})


@functools.lru_cache(maxsize=256)
def _config(way: str, limit: Bandwidth) -> Fields:
    fields: Fields = {"stat_prefix": _STATS, "enable_mode": way.upper(), "limit_kbps": wrapped(limit.limit_kibps)}
    trailers = limit.response_trailers
    told: Fields = {"enable_response_trailers": True, "response_trailer_prefix": trailers.prefix or ""} if trailers is not None else {}
    return pack(_MESSAGE, fields | told)
