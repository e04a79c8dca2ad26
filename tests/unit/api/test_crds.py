"""The custom resource definitions that we install take what Envoy Gateway's take, field by field; and the structs know their fields."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec import inspect

from shared.api import crds
from shared.api.parse import KINDS

THEIRS = Path(__file__).parents[4] / "shared" / "crds"

UNREAD = (
    "spec.connection.socketBufferLimit",  # means nothing towards backends; a condition says so
    "backendSettings.connection.socketBufferLimit",
    "spec.tls.fingerprints",  # of clients only
    "spec.backendTLS.fingerprints",
    "spec.lua.strictValidation",  # scripts are looked at, not run; a condition says so
    "als.backendRef",  # a condition says so of all collectors
    "openTelemetry.backendRef",
    "provider.backendRef",
    "backendRefs[].weight",  # of collectors
    "backendRefs[].fallback",
)
"""Ends of paths of fields that a cluster takes and nothing reads."""
WHOLE = (
    "spec.bootstrap",
    "spec.concurrency",
    "spec.extraArgs",
    "spec.logging",
    "spec.shutdown",
    "spec.provider.host",
    "spec.provider.kubernetes.envoyHpa",
    "spec.provider.kubernetes.envoyPDB",
    "spec.provider.kubernetes.envoyService",
    "spec.provider.kubernetes.envoyServiceAccount",
    "spec.telemetry.metrics.matches",
    "spec.telemetry.metrics.prometheus",
    "sinks[].type",
    "spec.telemetry.tracing.provider.openTelemetry.sampler",
    "spec.telemetry.tracing.provider.zipkin",
)
"""Of an EnvoyProxy: they are read from the object as it was written."""
WIDER = (
    "caCertificateRefs[].namespace",
    "valueRef.namespace",
    "ClientTrafficPolicy.spec.mergeType",
    "EnvoyPatchPolicy.spec.mergeType",
    "EnvoyPatchPolicy.spec.targetRef.sectionName",
    "EnvoyPatchPolicy.spec.targetRefs",
    "EnvoyPatchPolicy.spec.targetSelectors",
)
"""Of structs that several kinds share: fields that this kind does not have."""


def plain(schema: Any) -> Any:
    """Without what changes nothing: descriptions, and what is said twice."""
    if isinstance(schema, list):
        return [plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: plain(v) for k, v in schema.items() if not (k == "description" and isinstance(v, str))}
    if isinstance(enums := out.get("allOf"), list) and all(set(e) == {"enum"} for e in enums):
        out["enum"] = [v for v in enums[0]["enum"] if all(v in e["enum"] for e in enums)]
        del out["allOf"]
    if isinstance(rule := out.get("rule"), str):
        out["rule"] = rule.strip()
    if out.get("subresources") == {}:
        del out["subresources"]
    for unordered in ("required", "enum"):
        if isinstance(found := out.get(unordered), list):
            out[unordered] = sorted(found, key=str)
    return out


def differences(ours: Any, theirs: Any, at: str = "") -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            where = f"{at}.{key}"
            if key not in ours or key not in theirs:
                yield f"{where}: only {'theirs' if key in theirs else 'ours'}"
            else:
                yield from differences(ours[key], theirs[key], where)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for n, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{at}[{n}]")
    elif ours != theirs or type(ours) is not type(theirs):
        yield f"{at}: {ours!r} is {theirs!r} there"


def theirs(kind: str) -> dict[str, Any]:
    plural = crds.definition(kind)["spec"]["names"]["plural"]
    file = THEIRS / f"{crds.GROUP}_{plural}.yaml"
    found: dict[str, Any] = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    del found["metadata"]["annotations"]
    return found


def test_every_kind_is_there() -> None:
    assert len(list(THEIRS.glob(f"{crds.GROUP}_*.yaml"))) == len(crds.KINDS)


@pytest.mark.parametrize("kind", crds.KINDS)
def test_it_takes_what_envoy_gateways_takes(kind: str) -> None:
    found = list(differences(plain(crds.definition(kind)), plain(theirs(kind))))
    assert not found, "\n".join(found[:30])


def unlike(schema: dict[str, Any], shape: inspect.Type, at: str) -> Iterator[tuple[str, str]]:
    """(what, path) of each field that only the schema has (`unread`) or only the struct (`wider`)."""
    for each in shape.types if isinstance(shape, inspect.UnionType) else (shape,):
        if isinstance(each, inspect.StructType) and "properties" in schema:
            fields = {f.encode_name: f.type for f in each.fields}
            for name in sorted(fields.keys() | schema["properties"].keys()):
                if name in fields and name in schema["properties"]:
                    yield from unlike(schema["properties"][name], fields[name], f"{at}.{name}")
                else:
                    yield ("wider" if name in fields else "unread"), f"{at}.{name}"
        elif isinstance(each, inspect.ListType | inspect.VarTupleType) and "items" in schema:
            yield from unlike(schema["items"], each.item_type, f"{at}[]")


@pytest.mark.parametrize("kind", crds.KINDS)
def test_structs_have_the_fields_that_a_cluster_takes(kind: str) -> None:
    fields = {f.encode_name: f.type for f in inspect.type_info(KINDS[crds.GROUP, kind]).fields}  # type: ignore[attr-defined]
    schema = crds.definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found = list(unlike(schema, fields["spec"], f"{kind}.spec"))
    unread = (*UNREAD, *WHOLE) if kind == "EnvoyProxy" else UNREAD
    excused = {"unread": unread, "wider": WIDER}
    assert [each for each in found if not each[1].endswith(excused[each[0]])] == []


def test_other_kinds_are_not_ours() -> None:
    with pytest.raises(KeyError):
        crds.definition("Gateway")
