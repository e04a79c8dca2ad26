"""Lua scripts in Envoy: a filter for each on the listener, off until a route asks for it."""

from __future__ import annotations

from shared.features.extension.lua.ir import Lua
from shared.features.parts.per_route import ON, off
from shared.features.parts.xds_values import Unrenderable
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack, struct

NAME = "envoy.filters.http.lua"
_MESSAGES = "envoy.extensions.filters.http.lua.v3"


def _name(of: Lua) -> str:
    return f"{NAME}/{of.name}"


def _filter(of: Lua) -> Fields:
    return off(_name(of), f"{_MESSAGES}.Lua", {"default_source_code": {"inline_string": of.code}})


def _per_route(of: Lua) -> Fields:
    if of.filter_context is None:
        return ON
    if not isinstance(of.filter_context, dict):
        raise Unrenderable(f"lua {of.name}: its filter context is no object")
    return pack(f"{_MESSAGES}.LuaPerRoute", {"filter_context": struct(of.filter_context)})


def _of(route: HttpRoute) -> tuple[Lua, ...]:
    return route.envoy_extensions.luas if route.envoy_extensions is not None else ()


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {_name(of): _filter(of) for of in _of(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: switches them on, each with what its script may read."""
    return {_name(of): _per_route(of) for of in _of(route)}
