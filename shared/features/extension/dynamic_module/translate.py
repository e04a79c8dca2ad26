"""Dynamic modules: only those that the EnvoyProxy's registry allows, from where it says."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from msgspec.structs import replace

from shared.core.refs import ObjectRef
from shared.features.extension.dynamic_module.ir import DynamicModule, RemoteModule
from shared.features.extension.dynamic_module.spec import DynamicModuleSpec, ModuleEntrySpec, RemoteModuleSpec
from shared.features.parts.policy_lookup import Fault, config_name


def translate(spec: DynamicModuleSpec, index: int, owner: ObjectRef, registry: Iterable[ModuleEntrySpec]) -> DynamicModule:
    """`index` is its place in the policy, which names it. Raises Fault."""
    entry = next((e for e in registry if e.name == spec.name), None)
    if entry is None:
        raise Fault(f'dynamic module "{spec.name}" is not registered in the EnvoyProxy dynamicModules allowlist')
    made = DynamicModule(
        name=f"{config_name(owner)}/dynamic-module/{index}",
        filter_name=spec.filter_name or "",
        config=spec.config,
        do_not_close=entry.do_not_close,
        load_globally=entry.load_globally,
        terminal_filter=spec.terminal_filter,
    )
    source = entry.source
    if source.type == "Remote":
        return replace(made, remote=_remote(source.remote or RemoteModuleSpec(), spec.name))
    if source.type != "Local":
        raise Fault(f'dynamic module "{spec.name}" has unsupported source type "{source.type}"')
    if source.local is None:
        raise Fault(f'dynamic module "{spec.name}" has no local source configured')
    return replace(made, path=source.local.path)


def _remote(spec: RemoteModuleSpec, name: str) -> RemoteModule:
    if not spec.url or not spec.sha256:
        raise Fault(f'dynamic module "{name}" has no remote source configured: it needs url and sha256')
    try:
        parts = urlsplit(spec.url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise Fault(f'dynamic module "{name}" has invalid remote source URL "{spec.url}"')
    return RemoteModule(url=spec.url, sha256=spec.sha256)
