"""Where a piece of IR came from."""

from __future__ import annotations

from shared.api.base import ObjectMeta
from shared.ir.match import MapEntry
from shared.ir.metadata import ResourceMetadata

_PREFIX = "gateway.envoyproxy.io/"


def resource_metadata(kind: str, meta: ObjectMeta, section: str = "") -> ResourceMetadata:
    """Names the object; its `gateway.envoyproxy.io/` annotations travel along, without the prefix."""
    ours = {k.removeprefix(_PREFIX): v for k, v in meta.annotations.items() if k.startswith(_PREFIX)}
    return ResourceMetadata(
        kind=kind,
        name=meta.name,
        namespace=meta.namespace,
        section_name=section,
        annotations=tuple(MapEntry(key=k, value=ours[k]) for k in sorted(ours)),
    )
