"""Every field of an EnvoyProxy's Kubernetes provider shows in what is made: none is taken and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.api import crds
from tests.unit.infra_manager.kubernetes.fleets import fleet, objects

JSON = dict[str, Any]
OURS = ("pod", "container")
"""Parts that are taken apart here; what is inside of others is Kubernetes' own, and passed on whole."""
ELSEWHERE = ("useListenerPortAsContainerPort",)
"""The translator's: it decides the ports."""
BASE: dict[str, JSON] = {"envoyHpa": {"maxReplicas": 7}, "envoyDaemonSet": {}, "envoyPDB": {"patch": {"value": {}}}}
"""What an object needs to be there at all."""
INSTEAD: JSON = {"type": "JSONMerge", "value": {"metadata": {"labels": {"patched": "yes"}}}}


def schema() -> JSON:
    of: JSON = crds.definition("EnvoyProxy")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found: JSON = of["properties"]["provider"]["properties"]["kubernetes"]["properties"]
    return found


def fields(of: JSON, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JSON]]:
    for name, each in of.items():
        if "properties" in each and (not at or name in OURS):
            yield from fields(each["properties"], (*at, name))
        else:
            yield (*at, name), each


def sample(of: JSON, name: str) -> Any:
    """Something that the schema takes, and that is no default."""
    if name == "patch":
        return INSTEAD
    if "enum" in of:
        return next(v for v in reversed(of["enum"]) if v != of.get("default"))
    if of.get("x-kubernetes-int-or-string"):
        return 3
    match of["type"]:
        case "object":
            inner = of.get("properties") or {"sample": of.get("additionalProperties") or {"type": "string"}}
            return {k: sample(v, k) for k, v in inner.items() if k in of.get("required", list(inner)[:1])}
        case "array":
            return [sample(of["items"], name)]
        case "boolean":
            return not of.get("default", False)
        case "integer" | "number":
            return 9
    return "sample"


def made(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    kubernetes: JSON = {part: dict(base) for part, base in BASE.items() if part == path[0]}
    at = kubernetes
    for name in path[:-1]:
        at = at.setdefault(name, {})
    if value is not None:
        at[path[-1]] = value
    return objects(fleet(kubernetes))


@pytest.mark.parametrize(("path", "of"), [pytest.param(p, o, id=".".join(p)) for p, o in fields(schema()) if p[0] not in ELSEWHERE])
def test_it_shows(path: tuple[str, ...], of: JSON) -> None:
    assert made(path, sample(of, path[-1])) != made(path, None)
