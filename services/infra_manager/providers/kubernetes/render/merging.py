"""EnvoyProxy's patches of the objects that we make: Kubernetes' strategic merge, and the plain one of RFC 7396.

A strategic merge needs to know by which field a list's members are told apart; here is that table for the kinds that we make. Lists that
are not in it are replaced as a whole, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes.render.plan import JSON
from shared.core.merging import merged


class Shape(NamedTuple):
    """Of a field: `key` tells a list's members apart ('' : the list is a set of plain values); `fields` of the object or members."""

    fields: Mapping[str, Shape] = {}
    key: str | None = None


_CONTAINER = Shape(
    {
        "ports": Shape(key="containerPort"),
        "env": Shape(key="name"),
        "volumeMounts": Shape(key="mountPath"),
        "volumeDevices": Shape(key="devicePath"),
    },
    key="name",
)
_METADATA = Shape({"ownerReferences": Shape(key="uid"), "finalizers": Shape(key="")})
_POD = Shape(
    {
        "containers": _CONTAINER,
        "initContainers": _CONTAINER,
        "ephemeralContainers": _CONTAINER,
        "volumes": Shape(key="name"),
        "imagePullSecrets": Shape(key="name"),
        "hostAliases": Shape(key="ip"),
        "topologySpreadConstraints": Shape(key="topologyKey"),
        "resourceClaims": Shape(key="name"),
        "schedulingGates": Shape(key="name"),
    }
)
_WORKLOAD = Shape({"metadata": _METADATA, "spec": Shape({"template": Shape({"metadata": _METADATA, "spec": _POD})})})
_PLAIN = Shape({"metadata": _METADATA})
SHAPES: Mapping[str, Shape] = {
    "Deployment": _WORKLOAD,
    "DaemonSet": _WORKLOAD,
    "Service": Shape({"metadata": _METADATA, "spec": Shape({"ports": Shape(key="port")})}),
    "HorizontalPodAutoscaler": _PLAIN,
    "PodDisruptionBudget": _PLAIN,
}


def patched(body: JSON, patch: Mapping[str, Any] | None, where: str) -> JSON:
    """`body` with EnvoyProxy's `patch` ({type, value}) on it; `where` names the field. CannotRender."""
    if not patch or patch.get("value") is None:
        return body
    value, kind = patch["value"], patch.get("type") or "StrategicMerge"
    if not isinstance(value, Mapping):
        raise CannotRender(f"{where}.patch.value: an object is needed")
    try:
        if kind == "JSONMerge":
            made = merged(body, value)
        elif kind == "StrategicMerge":
            made = strategic(body, value, SHAPES[body["kind"]])
        else:
            raise CannotRender(f"{where}.patch.type: unsupported merge type {kind}")
    except (TypeError, KeyError, AttributeError) as e:
        raise CannotRender(f"{where}.patch.value: {e}") from e
    if not isinstance(made, dict) or not isinstance(made.get("metadata"), dict) or not made["metadata"].get("name"):
        raise CannotRender(f"{where}.patch.value: takes away the object's name")
    return made | {k: body[k] for k in ("apiVersion", "kind")}


def strategic(under: Any, over: Any, shape: Shape) -> Any:
    """One value laid upon another, with the directives `$patch`, `$retainKeys` and `$deleteFromPrimitiveList`. TypeError, KeyError."""
    if isinstance(over, Mapping):
        return _object(under if isinstance(under, Mapping) else {}, over, shape)
    if isinstance(over, list) and shape.key is not None:
        return _list(under if isinstance(under, list) else [], over, shape)
    return over


def _object(under: Mapping[str, Any], over: Mapping[str, Any], shape: Shape) -> JSON:
    directive = over.get("$patch")
    if directive == "delete":
        return {}
    if directive == "replace":
        return {k: v for k, v in over.items() if k != "$patch" and v is not None}
    out = dict(under)
    if (kept := over.get("$retainKeys")) is not None:
        out = {k: v for k, v in out.items() if k in kept}
    for field, value in over.items():
        if field.startswith("$deleteFromPrimitiveList/"):
            name = field.partition("/")[2]
            out[name] = [v for v in out.get(name) or () if v not in value]
        elif field.startswith("$"):
            continue
        elif value is None:
            out.pop(field, None)
        else:
            out[field] = strategic(out.get(field), value, shape.fields.get(field, Shape()))
    return out


def _list(under: list[Any], over: list[Any], shape: Shape) -> list[Any]:
    key = shape.key
    if not key:
        return [*under, *(v for v in over if v not in under)]
    if any(isinstance(m, Mapping) and m.get("$patch") == "replace" and len(m) == 1 for m in over):
        return [m for m in over if m.get("$patch") != "replace"]
    out = list(under)
    for member in over:
        if key not in member:
            raise TypeError(f"a member of a list has no {key}, by which it would be known: {member}")
        at = next((n for n, m in enumerate(out) if m.get(key) == member[key]), None)
        if member.get("$patch") == "delete":
            out = [m for m in out if m.get(key) != member[key]]
        elif at is None:
            out.append(_object({}, member, Shape(shape.fields)))
        else:
            out[at] = _object(out[at], member, Shape(shape.fields))
    return out
