"""EnvoyExtensionPolicies: what one puts into the way of requests, at one Gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.translator.stages.policies.built import Built, Effective
from services.translator.stages.policies.lookup import PolicyLookup
from services.translator.stages.policies.owners import owner
from services.translator.stages.proxies import effective as proxy_of
from services.translator.stages.tables import settings
from shared.api.extension_policy import EnvoyExtensionPolicySpec
from shared.core.refs import ObjectRef
from shared.features.extension.dynamic_module import translate as dynamic_module
from shared.features.extension.ext_proc import translate as ext_proc
from shared.features.extension.lua import translate as lua
from shared.features.extension.wasm import translate as wasm
from shared.features.parts.policy_lookup import Fault
from shared.incremental import Db
from shared.ir.extension import ExtensionFeatures

Spec = EnvoyExtensionPolicySpec


def _made(specs: Iterable[Any], make: Callable[[Any, int], Any]) -> tuple[tuple[Any, ...], list[tuple[str, bool]]]:
    """What could be made of a list; of the others why not, and whether they may be left out."""
    found, faults = [], []
    for i, spec in enumerate(specs):
        try:
            found.append(make(spec, i))
        except Fault as e:
            faults.append((str(e), bool(getattr(spec, "fail_open", False))))
    return tuple(found), faults


def build(db: Db, effective: Effective[Spec], gateway: ObjectRef) -> Built[ExtensionFeatures]:
    """Raises Pending while something that the policy names is unknown."""
    spec, lookup = effective.spec, PolicyLookup(db, gateway)
    processors = owner(effective, lambda s: s.ext_proc)
    scripts = owner(effective, lambda s: s.lua)
    modules = owner(effective, lambda s: s.dynamic_module)
    machines = owner(effective, lambda s: s.wasm)
    proxy = proxy_of(db, gateway).spec
    validation = proxy.lua.validation_type or proxy.lua_validation
    disabled = settings(db).disable_lua
    ext_procs, bad_procs = _made(spec.ext_proc, lambda each, i: ext_proc.translate(each, i, processors, lookup))
    wasms, bad_wasms = _made(spec.wasm, lambda each, i: wasm.translate(each, i, machines, lookup))
    luas, bad_luas = _made(spec.lua, lambda each, i: lua.translate(each, i, scripts, validation, disabled, lookup))
    dynamic, bad_dynamic = _made(spec.dynamic_module, lambda each, i: dynamic_module.translate(each, i, modules, proxy.dynamic_modules))
    faults = {"ExtProc": bad_procs, "Wasm": bad_wasms, "Lua": bad_luas, "DynamicModule": bad_dynamic}
    problems = tuple(f"{what}: {text}" for what, bad in faults.items() for text, _ in bad)
    opens = all(may_fail for bad in faults.values() for _, may_fail in bad)
    made = ExtensionFeatures(ext_procs=ext_procs, wasms=wasms, luas=luas, dynamic_modules=dynamic)
    return Built(made, problems, "served" if opens else "refused")


def deprecated(spec: Spec) -> Mapping[str, str]:
    """Fields that are used although others replace them."""
    return {"spec.targetRef": "spec.targetRefs"} if spec.target_ref is not None else {}
