"""Objects of extension servers' kinds: carried as they were written; of policies only the targets are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.api.base import Object
from shared.api.targets import PolicyTargets

_PASSING = ("managedFields", "resourceVersion", "selfLink")
"""What changes with every write of a status; a server that is told of it would be asked again for nothing."""


class ExtensionObject(Object, frozen=True):
    """`written` is the object as it goes to its server. Of what is no policy `spec` is empty."""

    written: dict[str, Any]
    spec: PolicyTargets = PolicyTargets()


def extension_object(raw: Mapping[str, Any], *, policy: bool) -> ExtensionObject:
    """Raises msgspec.ValidationError where even the metadata cannot be read. Targets that are none target nothing."""
    metadata = raw.get("metadata")
    kept = {k: v for k, v in metadata.items() if k not in _PASSING} if isinstance(metadata, Mapping) else metadata
    written = {k: v for k, v in raw.items() if k not in ("status", "metadata")} | {"metadata": kept}
    made = msgspec.convert({"metadata": kept, "written": written}, ExtensionObject)
    if not policy:
        return made
    try:
        spec = msgspec.convert(raw.get("spec") or {}, PolicyTargets)
    except msgspec.ValidationError:
        spec = PolicyTargets()
    return msgspec.structs.replace(made, spec=spec)
