"""EnvoyExtensionPolicy: code of the user's in the way of requests. Its parts are the features' own."""

from __future__ import annotations

from shared.api.targets import PolicyObject, PolicyTargets
from shared.features.extension.dynamic_module.spec import DynamicModuleSpec
from shared.features.extension.ext_proc.spec import ExtProcSpec
from shared.features.extension.lua.spec import LuaSpec
from shared.features.extension.wasm.spec import WasmSpec


class EnvoyExtensionPolicySpec(PolicyTargets, frozen=True):
    ext_proc: tuple[ExtProcSpec, ...] = ()
    wasm: tuple[WasmSpec, ...] = ()
    lua: tuple[LuaSpec, ...] = ()
    dynamic_module: tuple[DynamicModuleSpec, ...] = ()


class EnvoyExtensionPolicy(PolicyObject, frozen=True):
    spec: EnvoyExtensionPolicySpec = EnvoyExtensionPolicySpec()
