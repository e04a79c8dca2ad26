"""What an EnvoyExtensionPolicy puts into the way of the requests to a route."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from shared.features.extension.dynamic_module.ir import DynamicModule
from shared.features.extension.ext_proc.ir import ExtProc
from shared.features.extension.lua.ir import Lua
from shared.features.extension.wasm.ir import Wasm
from shared.ir.base import IR
from shared.ir.destination import Destination


class ExtensionFeatures(IR, frozen=True):
    ext_procs: tuple[ExtProc, ...] = ()
    wasms: tuple[Wasm, ...] = ()
    luas: tuple[Lua, ...] = ()
    dynamic_modules: tuple[DynamicModule, ...] = ()


def destinations(of: ExtensionFeatures) -> Iterator[Destination]:
    """Every service that a policy makes the proxy ask."""
    return (each.destination for each in of.ext_procs)


def with_destinations(of: ExtensionFeatures, change: Callable[[Destination], Destination]) -> ExtensionFeatures:
    """The same with each of its destinations changed."""
    if not of.ext_procs:
        return of
    return replace(of, ext_procs=tuple(replace(p, destination=change(p.destination)) for p in of.ext_procs))
