"""Hypothesis strategies from the OpenAPI schemas of custom resources, and mutations of what they give.

Names come from small pools, so that references often lead somewhere; what only a CEL rule forbids is generated too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CRDS = Path(__file__).parents[3] / "shared" / "crds"
Schema = Mapping[str, Any]
Json = Any

_POOLS: dict[str, list[Any]] = {
    "name": ["gw", "svc", "backend", "secret", "config", "filter", "x", "http", "https", "rule"],
    "namespace": ["default", "other"],
    "sectionName": ["http", "https", "rule", "nothing"],
    "group": ["", "gateway.networking.k8s.io", "gateway.envoyproxy.io"],
    "kind": ["Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute", "Service", "Backend", "Secret", "ConfigMap", "HTTPRouteFilter"],
    "protocol": ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "odd"],
    "port": [80, 443, 8080, 9000],
    "hostname": ["example.com", "*.example.com", "a.b", "10.0.0.1"],
    "hostnames": ["example.com", "*.example.com"],
}
_DEEPEST = 7


@cache
def spec_schema(group: str, kind: str) -> Schema:
    """The schema of a kind's spec, of its newest version; KeyError for a kind that no file describes."""
    found: Schema = _schemas()[group, kind]
    return found


@cache
def _schemas() -> dict[tuple[str, str], Schema]:
    found = {}
    for file in sorted(CRDS.glob("*.yaml")):
        for crd in yaml.load_all(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if crd and crd.get("kind") == "CustomResourceDefinition":
                version = next(v for v in crd["spec"]["versions"] if v.get("storage"))
                schema = version["schema"]["openAPIV3Schema"]["properties"].get("spec", {})
                found[crd["spec"]["group"], crd["spec"]["names"]["kind"]] = schema
    return found


def values(schema: Schema, field: str = "", depth: int = 0) -> st.SearchStrategy[Json]:
    """What the schema takes; `field` is where it stands, '' for anything."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(0, 70000), st.sampled_from(["10%", "http", "100Mi", "1"]))
    kind = schema.get("type")
    if kind == "object":
        return _objects(schema, field, depth)
    if kind == "array":
        most = min(schema.get("maxItems", 3), 3)
        least = min(schema.get("minItems", 0), most)
        return st.lists(values(schema.get("items", {}), field, depth + 1), min_size=least, max_size=most)
    if kind == "string":
        return _strings(schema, field)
    if kind in ("integer", "number"):
        return _numbers(schema, field)
    if kind == "boolean":
        return st.booleans()
    return anything


def _objects(schema: Schema, field: str, depth: int) -> st.SearchStrategy[Json]:
    fields: Mapping[str, Schema] = schema.get("properties", {})
    if not fields:
        inner = schema.get("additionalProperties")
        if not isinstance(inner, Mapping):
            return st.dictionaries(st.sampled_from(["a", "app", "x-y"]), st.sampled_from(["1", "b"]), max_size=2)
        return st.dictionaries(st.sampled_from(["a", "app", "x-y"]), values(inner, field, depth + 1), max_size=2)
    needed = set(schema.get("required", ()))
    made = {name: st.deferred(lambda name=name, s=s: values(s, name, depth + 1)) for name, s in fields.items()}  # type: ignore[misc]
    optional = {} if depth >= _DEEPEST else {n: s for n, s in made.items() if n not in needed}
    few = st.lists(st.sampled_from(sorted(optional)), max_size=4, unique=True) if optional else st.just([])
    return few.flatmap(lambda names: st.fixed_dictionaries({n: made[n] for n in (*needed, *names)}))


def _strings(schema: Schema, field: str) -> st.SearchStrategy[str]:
    pool = _POOLS.get(field)
    if pool is not None and all(isinstance(v, str) for v in pool):
        return st.sampled_from(pool)
    if "pattern" in schema:
        longest = schema.get("maxLength", 60)
        return st.from_regex(re.compile(schema["pattern"]), fullmatch=True).filter(lambda s: len(s) <= longest)
    if schema.get("format") == "cidr":
        return st.sampled_from(["10.0.0.0/8", "::/0"])
    words = st.sampled_from(
        ["", "/", "/a", "a", "x-header", "10s", "0s", "1.5", "example.com", "%", "*", "(", "http://example.com/x", "é\n"]
    )
    least = schema.get("minLength", 0)
    return words.filter(lambda s: len(s) >= least)


def _numbers(schema: Schema, field: str) -> st.SearchStrategy[int]:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
    edges = [n for n in (*_POOLS.get(field, ()), least, most, 1, 100) if isinstance(n, int) and least <= n <= most]
    return st.sampled_from(edges) if edges else st.integers(int(least), int(most))


anything: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**33) | st.floats(allow_nan=False) | st.sampled_from(["", "a", "é", "10s", "/"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "kind", "a", "type"]), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn, value: Json) -> Json:
    """The value with one of its parts replaced by something else, or gone."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {k: v for k, v in value.items() if k != key}
        return rest if draw(st.integers(0, 3)) == 0 else rest | {key: draw(mutated(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(mutated(value[at])), *value[at + 1 :]]
    return draw(anything)


def specs(group: str, kind: str) -> st.SearchStrategy[Json]:
    """Specs of a kind, three of four as its schema says."""
    valid = values(spec_schema(group, kind))
    return st.one_of(valid, valid, valid, valid.flatmap(mutated))
