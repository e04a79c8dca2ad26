"""Extension servers' objects: who is handed what, what crosses the bus once, and what their policies are told."""

from __future__ import annotations

from typing import Any

from services.translator.settings import Extensions
from tests.unit.translator.build import (
    FLEET,
    GATEWAY_API,
    Object,
    World,
    endpoints,
    gateway,
    http,
    made,
    quickstart,
    ref_of,
    route,
    service,
    stream_route,
)

GROUP = "example.io"
KINDS = Extensions(
    resources=frozenset({(GROUP, "Filter"), (GROUP, "Bucket")}),
    policies=frozenset({(GROUP, "Policy"), (GROUP, "SecurityPolicy")}),
)


def thing(kind: str, name: str, namespace: str = "default", **spec: Any) -> Object:
    return made(f"{GROUP}/v1", kind, name, spec, namespace=namespace)


def policy(name: str, target: str = "Gateway", at: str = "eg", section: str | None = None, kind: str = "Policy", **spec: Any) -> Object:
    ref = {"group": GATEWAY_API, "kind": target, "name": at} | ({"sectionName": section} if section else {})
    return thing(kind, name, targetRefs=[ref], **spec)


def world(*objects: Object) -> World:
    return World(*quickstart(), *objects, extensions=KINDS)


def names(refs: Any) -> list[str]:
    return [each.object["metadata"]["name"] for each in refs]


def filtering(name: str = "one", kind: str = "Filter") -> Object:
    ref = {"type": "ExtensionRef", "extensionRef": {"group": GROUP, "kind": kind, "name": name}}
    return route(rule={"filters": [ref]})


def test_a_filter_goes_with_the_routes_of_its_rule() -> None:
    w = world(filtering(), thing("Filter", "one", any=[1, None]))
    (made_route,) = w.ir().http[0].routes
    assert names(made_route.extension_refs) == ["one"]
    assert made_route.destination is not None
    assert made_route.extension_refs[0].object is not None
    assert made_route.extension_refs[0].object["spec"] == {"any": [1, None]}, "as it was written, nulls and all"


def test_an_edited_filter_is_one_shard_and_its_status_none() -> None:
    w = world(filtering(), thing("Filter", "one", n=1))
    changed = w.put(thing("Filter", "one", n=2)).shards[FLEET]
    assert list(changed) == ["extension.example_io.Filter.default.one"]
    again = thing("Filter", "one", n=2) | {"status": {"seen": True}}
    again["metadata"] = again["metadata"] | {"resourceVersion": "7", "managedFields": [{}]}
    assert not w.put(again)


def test_a_filter_that_is_not_there_is_answered_500_until_it_comes() -> None:
    w = world(filtering())
    assert w.condition(route(), "ResolvedRefs") == ("False", "UnsupportedValue")
    answer = w.ir().http[0].routes[0].direct_response
    assert answer is not None
    assert answer.status_code == 500
    w.put(thing("Filter", "one"))
    assert w.condition(route(), "ResolvedRefs") == ("True", "ResolvedRefs")
    w.drop(thing("Filter", "one"))
    assert w.condition(route(), "ResolvedRefs") == ("False", "UnsupportedValue")


def test_a_kind_that_no_server_has_is_not_accepted() -> None:
    assert world(filtering(kind="Unknown")).condition(route(), "Accepted") == ("False", "UnsupportedValue")


def test_a_custom_backend_is_a_setting_and_its_object() -> None:
    backend = {"group": GROUP, "kind": "Bucket", "name": "b", "port": 443}
    w = world(route(rule={"backendRefs": [backend, {"name": "app", "port": 80}]}), thing("Bucket", "b"))
    (r,) = w.ir().http[0].routes
    assert r.destination is not None
    assert [s.is_custom_backend for s in r.destination.settings] == [True, False]
    assert names(r.extension_refs) == ["b"]
    w.drop(thing("Bucket", "b"))
    assert w.condition(route(), "ResolvedRefs") == ("False", "BackendNotFound")


def test_a_custom_backend_elsewhere_needs_a_grant() -> None:
    backend = {"group": GROUP, "kind": "Bucket", "name": "b", "namespace": "far", "port": 443}
    w = world(route(rule={"backendRefs": [backend]}), thing("Bucket", "b", namespace="far"))
    assert w.condition(route(), "ResolvedRefs") == ("False", "RefNotPermitted")
    grant = {"from": [{"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": "default"}], "to": [{"group": GROUP, "kind": "Bucket"}]}
    w.put(made(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", "g", grant, namespace="far"))
    assert w.condition(route(), "ResolvedRefs") == ("True", "ResolvedRefs")


def test_policies_go_with_what_they_are_attached_to() -> None:
    named = route(rule={"name": "first"})
    w = world(
        gateway(http("http"), http("other", 81)),
        named,
        policy("whole"),
        policy("one", section="other"),
        policy("nowhere", section="missing"),
        policy("of-route", "HTTPRoute", "app"),
        policy("of-rule", "HTTPRoute", "app", "first"),
    )
    ir = w.ir()
    assert [names(each.extension_refs) for each in ir.http] == [["whole"], ["one", "whole"]]
    assert names(ir.extension_server_policies) == ["nowhere", "one", "whole"]
    assert names(ir.http[0].routes[0].extension_server_policies) == ["of-rule", "of-route"]
    assert w.condition(policy("whole"), "Accepted") == ("True", "Accepted")
    assert w.condition(policy("of-rule"), "Accepted") == ("True", "Accepted")
    assert not any(ref.name == "nowhere" for ref, _ in w.statuses)


def test_an_edited_policy_is_one_shard_whatever_it_is_attached_to() -> None:
    w = world(policy("p"), policy("r", "HTTPRoute", "app"))
    before = w.translator.db.evaluations.copy()
    changed = w.put(policy("p", n=2)).shards[FLEET]
    assert list(changed) == ["extension.example_io.Policy.default.p"]
    assert w.translator.db.evaluations["route_shards"] == before["route_shards"]
    assert list(w.put(policy("r", "HTTPRoute", "app", n=2)).shards[FLEET]) == ["extension.example_io.Policy.default.r"]


def test_selectors_need_grants_across_namespaces() -> None:
    selector = {"group": GATEWAY_API, "kind": "Gateway", "matchLabels": {"team": "a"}, "namespaces": {"from": "All"}}
    far = thing("Policy", "far", namespace="far", targetSelectors=[selector])
    mine = gateway()
    mine["metadata"]["labels"] = {"team": "a"}
    w = world(mine, far)
    assert w.ir().extension_server_policies == ()
    grant = {"from": [{"group": GROUP, "kind": "Policy", "namespace": "far"}], "to": [{"group": GATEWAY_API, "kind": "Gateway"}]}
    w.put(made(f"{GATEWAY_API}/v1beta1", "ReferenceGrant", "g", grant))
    assert names(w.ir().extension_server_policies) == ["far"]
    assert w.condition(far, "Accepted") == ("True", "Accepted")


def test_what_cannot_be_targeted_is_said() -> None:
    tcp = stream_route("TCPRoute")
    w = world(
        gateway(http(), {"name": "db", "port": 99, "protocol": "TCP"}),
        tcp,
        policy("t", "TCPRoute", "db"),
        policy("m", "HTTPRoute", "app", "missing"),
    )
    assert w.condition(policy("t"), "Accepted") == ("False", "Invalid")
    assert w.condition(policy("m"), "Accepted") == ("False", "TargetNotFound")


def test_a_kind_named_like_one_of_ours_is_its_own() -> None:
    w = world(policy("p", kind="SecurityPolicy"))
    assert names(w.ir().extension_server_policies) == ["p"]
    assert w.shards[FLEET].keys() >= {"extension.example_io.SecurityPolicy.default.p"}
    assert not any(key.startswith("policy.") for key in w.shards[FLEET])


def test_nonsense_for_targets_is_no_target() -> None:
    bad = thing("Policy", "bad", targetRefs={"not": "a list"})
    w = world(bad, service("x"), endpoints("x", "10.1.1.2"))
    assert w.ir().extension_server_policies == ()
    assert not any(ref == ref_of(bad) for ref, _ in w.statuses)
