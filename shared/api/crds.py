"""The custom resource definitions of `gateway.envoyproxy.io`, put together from what each feature's room says of its part.

A room's `crd.yaml` stands beside its `spec.py` and holds what a cluster takes of the feature: types by name, with limits, defaults and
rules, in OpenAPI's words. `schemas/` has the kinds themselves, and the types of Kubernetes and the Gateway API that stand in them. A type
names another with `$ref: <file>#<type>` (`<type>` alone: of the same file), and what stands beside a `$ref` counts in place of the
type's own. A definition for a cluster must be whole, so references end here.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Any

import yaml

JSON = dict[str, Any]

GROUP, VERSION = "gateway.envoyproxy.io", "v1alpha1"
KINDS = (
    "Backend",
    "BackendTrafficPolicy",
    "ClientTrafficPolicy",
    "EnvoyExtensionPolicy",
    "EnvoyPatchPolicy",
    "EnvoyProxy",
    "HTTPRouteFilter",
    "SecurityPolicy",
)
_OF_THE_SERVER: JSON = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


def definition(kind: str) -> JSON:
    """A CustomResourceDefinition. KeyError for a kind that is not ours."""
    if kind not in KINDS:
        raise KeyError(kind)
    source = _source(kind)
    about = source["definition"]
    parts = {part: _whole(source[part], kind) for part in ("spec", "status") if part in source}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": about.get("columns"),
        "subresources": {"status": {}} if "status" in parts else None,
        "schema": {"openAPIV3Schema": {"type": "object", "required": about["required"], "properties": _OF_THE_SERVER | parts}},
    }
    names = {"kind": kind, "listKind": f"{kind}List", "singular": kind.lower()} | {
        n: about.get(n) for n in ("plural", "shortNames", "categories")
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{about['plural']}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": _given(names), "versions": [_given(version)]},
    }


def text(kinds: tuple[str, ...] = KINDS) -> str:
    """YAML of several documents."""
    return yaml.dump_all(map(definition, kinds), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=140)


def _whole(value: Any, source: str) -> Any:
    """With all types that it refers to in their places. KeyError for a reference to nothing."""
    if isinstance(value, list):
        return [_whole(each, source) for each in value]
    if not isinstance(value, dict):
        return value
    own = {field: _whole(each, source) for field, each in value.items() if field != "$ref"}
    if not isinstance(ref := value.get("$ref"), str):
        return own
    place, _, name = ref.rpartition("#")
    place = place or source
    found: JSON = _whole(_source(place)[name], place)
    return found | own


@functools.cache
def _source(place: str) -> JSON:
    path = f"features/{place}/crd.yaml" if "/" in place or place == "parts" else f"api/schemas/{place}.yaml"
    made: JSON = yaml.load(files("shared").joinpath(path).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return made


def _given(fields: JSON) -> JSON:
    return {name: value for name, value in fields.items() if value is not None}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes out what stands in several places."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
