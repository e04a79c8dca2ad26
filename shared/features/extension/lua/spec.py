"""Lua scripts as Envoy Gateway's EnvoyExtensionPolicy writes them."""

from __future__ import annotations

from typing import Any

from shared.api.base import Spec

KEY = "lua"
"""Where a script stands in a ConfigMap; if it does not, its first value counts."""


class ScriptRef(Spec, frozen=True):
    name: str
    group: str = ""
    kind: str = "ConfigMap"


class LuaSpec(Spec, frozen=True):
    """Inline, or by reference to a ConfigMap (`type` ValueRef)."""

    type: str = "Inline"
    inline: str | None = None
    value_ref: ScriptRef | None = None
    filter_context: Any = None
