"""Where an API server keeps a kind: its version and path. A kind that is not installed is None, and may come later."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from shared.core.kinds import KindInfo
from shared.core.refs import ObjectRef
from shared.kube.client import NOT_FOUND, Kube, Refused


class Resource(NamedTuple):
    """`api_version` as objects spell it; `base` is the path up to the version; `statuses`: whether it has a status of its own."""

    group: str
    kind: str
    api_version: str
    base: str
    plural: str
    namespaced: bool
    statuses: bool = False

    def path(self, ref: ObjectRef | None = None, *, namespace: str = "", sub: str = "") -> str:
        """Of all objects, of those of a namespace, or of one (`sub`: of its status …)."""
        inside = ref.namespace if ref is not None else namespace
        path = f"{self.base}/namespaces/{inside}/{self.plural}" if self.namespaced and inside else f"{self.base}/{self.plural}"
        if ref is not None:
            path += f"/{ref.name}"
        return f"{path}/{sub}" if sub else path


class _Version(msgspec.Struct, rename="camel"):
    group_version: str


class _Group(msgspec.Struct):
    versions: tuple[_Version, ...] = ()


class _Resource(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False


class _Resources(msgspec.Struct):
    resources: tuple[_Resource, ...] = ()


async def find(kube: Kube, info: KindInfo) -> Resource | None:
    """The kind in the version that is asked for, or in the one that the server likes best of those that have it.

    Raises Refused (but for absence), Unreachable.
    """
    asked = f"{info.group}/{info.version}"
    for version in await _versions(kube, info.group):
        if info.version and version != asked:
            continue
        base = f"/apis/{version}" if info.group else f"/api/{version}"
        found = msgspec.json.decode(await kube.get(base), type=_Resources).resources
        names = {r.name for r in found}
        for each in found:
            if each.kind == info.kind and "/" not in each.name:
                return Resource(info.group, info.kind, version, base, each.name, each.namespaced, f"{each.name}/status" in names)
    return None


async def _versions(kube: Kube, group: str) -> tuple[str, ...]:
    if not group:
        return ("v1",)
    try:
        return tuple(v.group_version for v in msgspec.json.decode(await kube.get(f"/apis/{group}"), type=_Group).versions)
    except Refused as e:
        if e.code == NOT_FOUND:
            return ()
        raise
