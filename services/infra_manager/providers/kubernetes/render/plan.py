"""What rendering gives: manifests that compare by content, and what must be known to look after them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from services.infra_manager.providers.kubernetes.render.kinds import RESOURCES
from shared.core.refs import ObjectRef

JSON = dict[str, Any]
DIGEST = "headgate.dev/applied"
"""Annotation: digest of the manifest that was applied last."""


class Owner(NamedTuple):
    """The object with whose end the fleet ends, too."""

    kind: str
    namespace: str
    name: str


class Manifest(NamedTuple):
    """`text` is JSON without owner references, which need an identity that only the API server knows."""

    ref: ObjectRef
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def body(self) -> JSON:
        """With the digest as an annotation."""
        made: JSON = json.loads(self.text)
        made["metadata"].setdefault("annotations", {})[DIGEST] = self.digest
        return made


class Plan(NamedTuple):
    """One fleet. `labels` find its objects in `namespace`.

    `keep`: nothing is to be changed now (the Gateway has no usable listener), what runs goes on.
    `addresses`: what the Gateway asks for. `guarded`: objects of these names that are not labelled as the fleet's are left alone.
    """

    namespace: str
    labels: tuple[tuple[str, str], ...]
    owner: Owner | None = None
    manifests: tuple[Manifest, ...] = ()
    addresses: tuple[str, ...] = ()
    keep: bool = False
    guarded: bool = False


def manifest(body: Mapping[str, Any]) -> Manifest:
    """Of a whole object; fields that are None are left out."""
    found = without_none(body)
    resource, metadata = RESOURCES[found["kind"]], found["metadata"]
    ref = ObjectRef(resource.group, resource.kind, metadata.get("namespace", ""), metadata["name"])
    return Manifest(ref, json.dumps(found, sort_keys=True))


def without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_none(v) for v in value]
    return value
