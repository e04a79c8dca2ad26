"""Compression in Envoy: one filter an algorithm, which stands off until a route asks for it."""

from __future__ import annotations

import functools

from shared.features.parts.per_route import off
from shared.features.parts.xds_values import wrapped
from shared.features.traffic.compression.ir import Compression
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.compressor"
REQUESTED_BY = "accept-encoding"
"""Backends do not see this header, or they would compress what the proxy then leaves alone."""
_COMPRESSOR = "envoy.extensions.filters.http.compressor.v3"
_ON = pack(f"{_COMPRESSOR}.CompressorPerRoute", {"overrides": {"response_direction_config": {}}})


def _of(route: HttpRoute) -> tuple[Compression, ...]:
    return route.traffic.compression if route.traffic is not None else ()


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {_name(each): _filter(each) for each in _of(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: responses of this route are compressed."""
    return {_name(each): _ON for each in _of(route)}


def after_route(route: HttpRoute, removed: list[str]) -> Fields:
    """Fields of the Route; `removed` are the request headers that it removes anyway."""
    if not _of(route) or REQUESTED_BY in removed:
        return {}
    return {"request_headers_to_remove": [*removed, REQUESTED_BY]}


def _name(of: Compression) -> str:
    return f"{NAME}.{of.type.lower()}"


@functools.lru_cache(maxsize=256)
def _filter(of: Compression) -> Fields:
    return off(_name(of), f"{_COMPRESSOR}.Compressor", _config(of))


def _config(of: Compression) -> Fields:
    kind = of.type.lower()
    library = pack(f"envoy.extensions.compression.{kind}.compressor.v3.{of.type}")
    fields: Fields = {"compressor_library": {"name": f"envoy.compression.{kind}.compressor", "typed_config": library}}
    if of.choose_first:
        fields["choose_first"] = True
    if of.min_content_length is not None:
        fields["response_direction_config"] = {"common_config": {"min_content_length": wrapped(of.min_content_length)}}
    return fields
