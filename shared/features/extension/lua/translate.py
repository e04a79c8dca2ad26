"""Lua scripts, read through before anybody runs them, unless the EnvoyProxy says otherwise."""

from __future__ import annotations

from shared.core.refs import ObjectRef
from shared.features.extension.lua.check import script_fault
from shared.features.extension.lua.ir import Lua
from shared.features.extension.lua.spec import KEY, LuaSpec
from shared.features.parts.policy_lookup import Fault, Lookup, any_value, config_name


def translate(spec: LuaSpec, index: int, owner: ObjectRef, validation: str | None, disabled: bool, lookup: Lookup) -> Lua:
    """`index` is its place in the policy, which names it; `validation` is the EnvoyProxy's word. Raises Fault."""
    if disabled:
        raise Fault("Skipping Lua EnvoyExtensionPolicy as feature is disabled in the Gateway")
    name = f"{config_name(owner)}/lua/{index}"
    code = _code(spec, owner, lookup)
    if (fault := script_fault(code, validation or "Strict")) is not None:
        raise Fault(f"validation failed for {name}: {fault}")
    return Lua(name=name, code=code, filter_context=spec.filter_context)


def _code(spec: LuaSpec, owner: ObjectRef, lookup: Lookup) -> str:
    if spec.type != "ValueRef":
        if not spec.inline:
            raise Fault("an inline script must be given")
        return spec.inline
    if spec.value_ref is None:
        raise Fault("a script of type ValueRef must refer to a ConfigMap")
    found = any_value(lookup.config_map(owner, spec.value_ref.name), KEY)
    if found is None:
        raise Fault(f"can't find the key {KEY} in the referenced configmap {spec.value_ref.name}")
    return found
