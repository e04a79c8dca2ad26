"""Whether an object of the cluster is as its manifest says; who owns its fields. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from services.infra_manager.providers.kubernetes.render.plan import DIGEST, JSON
from shared.core import quantities

FORMER = ("envoy-gateway",)
"""Field managers whose work is taken over."""
_OF_THE_SERVER = ("managedFields", "resourceVersion", "generation")


def stands(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """The manifest was applied last, and nothing of it has been changed since. May be False without need, never True wrongly."""
    if _annotations(live).get(DIGEST) != _annotations(wanted).get(DIGEST):
        return False
    return contains(live, wanted)


def contains(live: Any, wanted: Any) -> bool:
    """All of `wanted` is in `live`, which may have more fields; lists have as many members, in the same order."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return not wanted and live is None
        return all(contains(live.get(field), value) for field, value in wanted.items())
    if isinstance(wanted, list):
        found = live if isinstance(live, list) else []
        return len(found) == len(wanted) and all(contains(f, w) for f, w in zip(found, wanted, strict=True))
    if live == wanted or (live is None and not wanted):
        return True
    return _same_quantity(live, wanted)


def fingerprint(live: Mapping[str, Any]) -> str:
    """Of what users and controllers write of an object: not its status, nor what the server notes of every write."""
    metadata = {k: v for k, v in (live.get("metadata") or {}).items() if k not in _OF_THE_SERVER}
    rest = {k: v for k, v in live.items() if k != "status"} | {"metadata": metadata}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def formerly_managed(live: Mapping[str, Any]) -> bool:
    return any(_former(entry) for entry in _entries(live))


def taken_over(live: Mapping[str, Any], manager: str) -> list[JSON]:
    """`managedFields` with the former managers' fields as ours: the next apply then also removes what they wanted and we do not."""
    entries = _entries(live)
    ours = [
        e for e in entries if _former(e) or (e.get("manager") == manager and e.get("operation") == "Apply" and not e.get("subresource"))
    ]
    fields: Any = {}
    for entry in ours:
        fields = _union(fields, entry.get("fieldsV1") or {})
    joined = {**ours[-1], "manager": manager, "fieldsV1": fields}
    return [*(e for e in entries if e not in ours), joined]


def keeping_selector(live: Mapping[str, Any] | None, body: JSON) -> JSON:
    """A workload's selector cannot be changed: an old one stays as long as it matches the new pods. ValueError if it does not."""
    spec = body.get("spec") or {}
    old = ((live or {}).get("spec") or {}).get("selector")
    if old is None or "template" not in spec or old == spec.get("selector"):
        return body
    labels = spec["template"]["metadata"].get("labels") or {}
    if old.get("matchExpressions") or any(labels.get(k) != v for k, v in (old.get("matchLabels") or {}).items()):
        raise ValueError(f"{body['kind']} {body['metadata']['name']} selects pods by labels that the new ones do not have: delete it")
    return body | {"spec": spec | {"selector": old}}


def labels_of(live: Mapping[str, Any]) -> dict[str, str]:
    return (live.get("metadata") or {}).get("labels") or {}


def _annotations(value: Mapping[str, Any]) -> Mapping[str, str]:
    return (value.get("metadata") or {}).get("annotations") or {}


def _entries(live: Mapping[str, Any]) -> list[JSON]:
    return (live.get("metadata") or {}).get("managedFields") or []


def _former(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") in FORMER and entry.get("operation") == "Apply" and not entry.get("subresource")


def _union(one: Any, other: Any) -> Any:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return other
    return {k: _union(one.get(k, {}), other.get(k, {})) for k in one.keys() | other.keys()}


def _same_quantity(one: Any, other: Any) -> bool:
    """`1000m` is `1`."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return False
    try:
        return quantities.parse(one) == quantities.parse(other)
    except ValueError:
        return False
