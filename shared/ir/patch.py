"""Patches of what is rendered, with the field names of Envoy Gateway v1.9's xDS IR."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.ir.base import IR


class JsonPatchOperation(IR, frozen=True):
    """RFC 6902; `json_path` says which places `path` counts from. A value that is not there is UNSET."""

    op: str
    path: str | None = None
    json_path: str | None = None
    from_: str | None = None
    value: Any = msgspec.UNSET


class JsonPatch(IR, frozen=True, kw_only=True):
    """`type` is the resource's type URL, `name` its name."""

    type: str = ""
    name: str = ""
    operation: JsonPatchOperation


class EnvoyPatchPolicy(IR, frozen=True):
    """A policy that was not accepted has no patches."""

    name: str = ""
    namespace: str = ""
    generation: int = 0
    json_patches: tuple[JsonPatch, ...] = ()


class PatchShard(IR, frozen=True, kw_only=True):
    """`ir.xds.<ns>.<name>.policy.EnvoyPatchPolicy.<ns>.<policy>`. Lower priorities come first, then older policies."""

    priority: int = 0
    created: str = ""
    policy: EnvoyPatchPolicy

    @property
    def order(self) -> tuple[int, str, str, str]:
        return self.priority, self.created, self.policy.namespace, self.policy.name
