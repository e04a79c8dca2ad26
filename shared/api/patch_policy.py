"""EnvoyPatchPolicy: changes to Envoy's own configuration, as its user writes them."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import Spec
from shared.api.targets import PolicyObject, PolicyTargets


class JsonPatchOperationSpec(Spec, frozen=True):
    """RFC 6902, where `json_path` may say which places `path` counts from."""

    op: str
    path: str | None = None
    json_path: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    value: Any = msgspec.UNSET


class JsonPatchSpec(Spec, frozen=True):
    """`type` is the resource's type URL, `name` its name."""

    type: str
    name: str
    operation: JsonPatchOperationSpec


class PatchPolicySpec(PolicyTargets, frozen=True):
    """Policies are applied in ascending order of `priority`."""

    type: str = "JSONPatch"
    json_patches: tuple[JsonPatchSpec, ...] = ()
    priority: int = 0


class EnvoyPatchPolicy(PolicyObject, frozen=True, kw_only=True):
    spec: PatchPolicySpec
