"""Dynamic modules in Envoy: a filter for each on the listener, off until a route asks for it."""

from __future__ import annotations

from collections.abc import Iterator

from shared.features.extension.dynamic_module.ir import DynamicModule
from shared.features.parts.external import TIMEOUT, Service, http_uri, place
from shared.features.parts.per_route import ON, off
from shared.ir.base import encode
from shared.ir.extension import ExtensionFeatures
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.dynamic_modules"
_MESSAGE = "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"


def _name(of: DynamicModule) -> str:
    return f"{NAME}/{of.name}"


def _module(of: DynamicModule) -> Fields:
    if of.remote is None:
        return {"local": {"filename": of.path}}
    uri = http_uri(of.remote.url, place(of.remote.url).cluster, TIMEOUT)
    return {"remote": {"http_uri": uri, "sha256": of.remote.sha256}}


def _filter(of: DynamicModule) -> Fields:
    fields: Fields = {
        "dynamic_module_config": {"do_not_close": of.do_not_close, "load_globally": of.load_globally, "module": _module(of)},
        "filter_name": of.filter_name,
        "terminal_filter": of.terminal_filter,
    }
    if of.config is not None:
        fields["filter_config"] = pack("google.protobuf.StringValue", {"value": encode(of.config).decode()})
    return off(_name(of), _MESSAGE, fields)


def _of(route: HttpRoute) -> tuple[DynamicModule, ...]:
    return route.envoy_extensions.dynamic_modules if route.envoy_extensions is not None else ()


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {_name(of): _filter(of) for of in _of(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: switches them on."""
    return {_name(of): ON for of in _of(route)}


def services(of: ExtensionFeatures) -> Iterator[Service]:
    """Where modules come from."""
    return (Service(None, each.remote.url) for each in of.dynamic_modules if each.remote is not None)
