"""Buffered requests in Envoy: a filter that stands off until a route says how much it may hold."""

from __future__ import annotations

import functools

from shared.core.quantities import whole
from shared.features.parts.per_route import off
from shared.features.parts.xds_values import Unrenderable, wrapped
from shared.features.traffic.request_buffer.ir import RequestBuffer
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.buffer"
_BUFFER = "envoy.extensions.filters.http.buffer.v3"
_UINT32 = (1 << 32) - 1


def _limit(buffer: RequestBuffer) -> Fields:
    size = whole(buffer.limit)
    if size is None or not 0 <= size <= _UINT32:
        raise Unrenderable(f"request buffer: {buffer.limit} is no size that a buffer can have")
    return {"max_request_bytes": wrapped(size)}


def _of(route: HttpRoute) -> RequestBuffer | None:
    return route.traffic.request_buffer if route.traffic is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    buffer = _of(route)
    return {NAME: _filter(buffer)} if buffer is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: how much of a request is held."""
    buffer = _of(route)
    return {NAME: _on(buffer)} if buffer is not None else {}


@functools.lru_cache(maxsize=256)
def _filter(buffer: RequestBuffer) -> Fields:
    return off(NAME, f"{_BUFFER}.Buffer", _limit(buffer))


@functools.lru_cache(maxsize=256)
def _on(buffer: RequestBuffer) -> Fields:
    return pack(f"{_BUFFER}.BufferPerRoute", {"buffer": _limit(buffer)})
