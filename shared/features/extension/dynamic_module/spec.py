"""Dynamic modules as Envoy Gateway's EnvoyExtensionPolicy writes them, and their registry as an EnvoyProxy does."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import Spec


class DynamicModuleSpec(Spec, frozen=True):
    """`name` is the registry's."""

    name: str
    filter_name: str | None = None
    config: Any = None
    terminal_filter: bool = False


class LocalModuleSpec(Spec, frozen=True):
    path: str = ""


class RemoteModuleSpec(Spec, frozen=True):
    url: str = ""
    sha256: str = ""


class ModuleSourceSpec(Spec, frozen=True):
    type: str = "Local"
    local: LocalModuleSpec | None = None
    remote: RemoteModuleSpec | None = None


class ModuleEntrySpec(Spec, frozen=True):
    """A module that an administrator allows."""

    name: str
    source: ModuleSourceSpec = msgspec.field(default_factory=ModuleSourceSpec)
    do_not_close: bool = False
    load_globally: bool = False
