"""What is made of AIRoutes, which Gateways they lead from, and what is said where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.ai_gateway import kinds
from examples.ai_gateway.compiling import At, Compiled, compiled, name_of, rule_number
from examples.ai_gateway.configuration import BadConfiguration, load
from examples.ai_gateway.controller import secrets
from examples.ai_gateway.folder import MADE, FolderSource
from examples.ai_gateway.selection import LabelSelector, Requirement, Selector

BACKEND: dict[str, Any] = {"endpoint": {"host": "h"}}


def thing(kind: str, name: str, namespace: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> tuple[At, dict[str, Any]]:
    metadata = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    return (kind, namespace, name), {"kind": kind, "metadata": metadata, "spec": spec}


def gateway(name: str, namespace: str = "default", labels: dict[str, str] | None = None, kind: str = "Gateway", **spec: Any) -> Any:
    return thing(kind, name, namespace, labels, listeners=[{"name": "a"}, {"name": "b"}], **spec)


def route(*rules: dict[str, Any], name: str = "r", **spec: Any) -> Any:
    return thing("AIRoute", name, rules=list(rules) or [{"backends": [{"name": "x"}]}], **spec)


def made(*objects: Any, selector: Selector = Selector()) -> Compiled:  # noqa: B008
    return compiled(dict(objects), selector)


def parents(of: Compiled) -> list[str]:
    refs = [ref for o in of.objects for ref in o["spec"]["parentRefs"]]
    return [f"{r['kind']} {r['namespace']}/{r['name']}{'/' + r['sectionName'] if 'sectionName' in r else ''}" for r in refs]


def test_rules_become_matches_of_the_models_name() -> None:
    rules = [{"models": ["gpt-*", "o.1"], "backends": [{"name": "x"}]}, {"models": ["m"], "backends": [{"name": "y", "namespace": "n"}]}]
    (found,) = made(gateway("g"), route(*rules, hostnames=["h"], pathPrefix="/ai")).objects
    assert (found["kind"], found["metadata"]["name"], found["spec"]["hostnames"]) == ("HTTPRoute", "r-ai", ["h"])
    first, second, unknown = found["spec"]["rules"]
    assert [m["headers"][0]["value"] for m in first["matches"]] == [r"gpt\-.*", "o.1"]
    assert [m["headers"][0].get("type") for m in first["matches"]] == ["RegularExpression", None]
    assert second["backendRefs"][0]["namespace"] == "n"
    assert (unknown["name"], unknown["matches"]) == ("model-unknown", [{"path": {"type": "PathPrefix", "value": "/ai"}}])
    assert [rule_number(r["name"]) for r in found["spec"]["rules"]] == [0, 1, None]
    (any_model,) = made(gateway("g"), route()).objects
    assert [r["name"] for r in any_model["spec"]["rules"]] == ["rule-0"], "every model has a backend"


def test_without_parents_a_route_is_everywhere() -> None:
    everywhere = made(gateway("g"), gateway("envoy-gateway", "envoy-gateway"), gateway("s", "n", kind="ListenerSet"), route())
    assert parents(everywhere) == ["Gateway default/g", "Gateway envoy-gateway/envoy-gateway", "ListenerSet n/s"]
    assert everywhere.missing == ()


def test_labels_leave_out_objects_and_listeners() -> None:
    managed = "ai-gateway.envoyproxy.io/managed"
    parent = {"parentRef": {"name": "no", "namespace": "default"}}
    found = made(
        gateway("no", labels={managed: "false"}),
        gateway("part", labels={f"{managed}.a": "false"}),
        gateway("goes-with-it", "n", kind="ListenerSet", **parent),
        gateway("has-its-own", "n", labels={managed: "true"}, kind="ListenerSet", **parent),
        route(),
    )
    assert parents(found) == ["Gateway default/part/b", "ListenerSet n/has-its-own"]
    assert {(m.object, m.listener) for m in found.missing} == {("default/no", ""), ("default/part", "a"), ("n/goes-with-it", "")}
    status = found.statuses["AIRoute", "default", "r"]
    assert sorted((p["parentRef"]["name"], c["status"]) for p in status["parents"] for c in p["conditions"]) == [
        ("goes-with-it", "False"),
        ("has-its-own", "True"),
        ("no", "False"),
        ("part", "False"),
        ("part", "True"),
    ]


def test_a_selector_narrows_by_namespaces_and_labels() -> None:
    gold = LabelSelector(match_labels={"tier": "gold"})
    objects = (
        thing("Namespace", "n", "", {"tier": "gold"}),
        gateway("g", "n"),
        gateway("h", "m", labels={"tier": "gold"}),
        route(),
    )
    objects = ((("Namespace", "", "n"), {**objects[0][1], "metadata": {"name": "n", "labels": {"tier": "gold"}}}), *objects[1:])
    assert parents(made(*objects, selector=Selector(namespace_selector=gold))) == ["Gateway n/g"]
    assert parents(made(*objects, selector=Selector(labels=gold))) == ["Gateway m/h"]
    assert parents(made(*objects, selector=Selector(namespaces=("m",)))) == ["Gateway m/h"]


@pytest.mark.parametrize(
    ("operator", "values", "fits"), [("In", ("a",), True), ("NotIn", ("a",), False), ("Exists", (), True), ("DoesNotExist", (), False)]
)
def test_requirements(operator: str, values: tuple[str, ...], fits: bool) -> None:
    assert Requirement("k", operator, values).fits({"k": "a"}) is fits


def test_parents_by_name_and_section_and_one_that_is_not_there() -> None:
    refs = [{"name": "g", "sectionName": "b"}, {"name": "gone", "namespace": "n"}]
    found = made(gateway("g"), route(parentRefs=refs))
    assert parents(found) == ["Gateway default/g/b"]
    assert [(m.object, m.why.reason) for m in found.missing] == [("n/gone", "NotFound")]
    nowhere = made(route(parentRefs=refs[1:]))
    assert nowhere.objects == ()


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"rules": []}, "spec.rules: expected at least one"),
        ({"rules": [{"backends": []}]}, "spec.rules[0].backends: expected at least one"),
        ({"rules": [{"backends": [{"name": "x"}, {"name": "x"}]}]}, "stands twice"),
        ({"rules": [{"backends": [{"name": "x"}], "models": []}]}, "spec.rules[0].models"),
        ({"rules": [{"backends": [{"name": "x"}], "modles": []}]}, "modles"),
        ({"rules": [{"backends": [{"name": 1}]}]}, "spec.rules[0].backends[0].name"),
        ({"rules": [{"backends": [{"name": "x"}]}], "pathPrefix": "v1"}, "spec.pathPrefix"),
    ],
)
def test_a_route_that_cannot_be_used_says_why(spec: dict[str, Any], text: str) -> None:
    at, raw = thing("AIRoute", "r", **spec)
    found = made(gateway("g"), (at, raw))
    assert found.objects == ()
    (condition,) = found.statuses[at]["conditions"]
    assert (condition["status"], text in condition["message"]) == ("False", True), condition["message"]


def test_backends_and_their_keys() -> None:
    with_key: dict[str, Any] = {**BACKEND, "credentials": {"secretRef": {"name": "s"}}}
    secret = (("Secret", "default", "s"), {"kind": "Secret", "metadata": {}, "data": {"apiKey": "a2V5Cg==", "other": "eA=="}})
    objects = dict([thing("AIBackend", "b", **with_key), thing("AIBackend", "bad", endpoint={"host": "h", "port": 0}), secret])
    found = compiled(objects, Selector())
    assert [c["status"] for c in found.statuses["AIBackend", "default", "b"]["conditions"]] == ["True", "True"]
    assert "spec.endpoint.port" in found.statuses["AIBackend", "default", "bad"]["conditions"][0]["message"]
    assert secrets(objects) == {("default", "s", "apiKey"): "key"}, "of other Secrets and keys nothing is kept"


def test_names_stay_short_enough() -> None:
    assert name_of("a") == "a-ai"
    assert len(name_of("a" * 253)) <= 253
    assert name_of("a" * 253) != name_of("a" * 252 + "b")


def test_the_definitions_for_kubernetes_know_the_same_fields() -> None:
    crds = list(yaml.safe_load_all((Path(kinds.__file__).parent / "crds.yaml").read_text()))
    for crd, spec in zip(crds, (kinds.RouteSpec, kinds.BackendSpec), strict=True):
        properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        assert set(properties) == set(spec.__struct_encode_fields__)
    rules = crds[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["rules"]
    assert rules["maxItems"] == kinds.MOST_RULES
    assert rules["items"]["properties"]["models"]["maxItems"] == kinds.MOST_MODELS


def test_configurations(tmp_path: Path) -> None:
    assert load(Path(kinds.__file__).parent / "gateway.yaml").folder is not None
    file = tmp_path / "c.yaml"
    for text, word in (
        ("metrix: 1", "metrix"),
        ("processor: {address: x}", "processor.address"),
        ("processor: {listen: '0.0.0.0:1'}", "signingKeyFile"),
        ("processor: {signingKeyFile: /nonexistent}", "signingKeyFile"),
        ("selector: {labels: {matchExpressions: [{key: a, operator: Is}]}}", "operator"),
    ):
        file.write_text(text)
        with pytest.raises(BadConfiguration, match=word):
            load(file)


async def test_a_folder_is_read_and_written(tmp_path: Path) -> None:
    folder, status = tmp_path / "objects", tmp_path / "status"
    folder.mkdir()
    text = yaml.safe_dump_all(
        [route()[1] | {"apiVersion": kinds.API_VERSION}, gateway("g")[1] | {"apiVersion": "gateway.networking.k8s.io/v1"}]
    )
    (folder / "a.yaml").write_text(text)
    source = FolderSource(folder, status)
    states = source.states()
    objects = await anext(states)
    await source.put(compiled(objects, Selector()))
    assert [o["kind"] for o in yaml.safe_load_all((folder / MADE).read_text())] == ["HTTPRoute"]
    written = status / "ai-gateway.envoyproxy.io" / "AIRoute" / "default" / "r.yaml"
    assert yaml.safe_load(written.read_text())["status"]["conditions"][0]["status"] == "True"
    (folder / "a.yaml").write_text("x: [")
    (folder / "b.yaml").write_text(yaml.safe_dump(thing("AIBackend", "b", **BACKEND)[1] | {"apiVersion": kinds.API_VERSION}))
    objects = await anext(states)
    assert {at[0] for at in objects} == {"AIRoute", "Gateway", "AIBackend"}, "a file that cannot be read stays as it was"
    (folder / "a.yaml").unlink()
    objects = await anext(states)
    await source.put(compiled(objects, Selector()))
    assert not written.exists()
    assert not list(yaml.safe_load_all((folder / MADE).read_text()))
