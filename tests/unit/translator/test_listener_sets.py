"""ListenerSets: who may add listeners to a Gateway, who wins where two want the same, and what each is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translator.build import (
    FLEET,
    GATEWAY_API,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    http,
    https,
    listener,
    listener_set,
    made,
    route,
    service,
)
from tests.unit.translator.certificates import tls_secret
from tests.unit.translator.test_incremental import evaluated

ALL: dict[str, Any] = {"allowedListeners": {"namespaces": {"from": "All"}}}


def fleet(*sets: Object, own: tuple[Object, ...] = (http(),), **spec: Any) -> World:
    return World(gateway_class(), gateway(*own, **(spec or ALL)), service(), endpoints("app", "10.1.1.1"), *sets)


def aged(obj: Object, created: str) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": created}}


def names(world: World) -> list[str]:
    return [each.name for each in world.ir().http]


def entry(world: World, obj: Object, at: int = 0) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in world.status(obj)["listeners"][at]["conditions"]}


def on_set(name: str, of: str = "more", **more: Any) -> Object:
    return route(name, parentRefs=[{"group": GATEWAY_API, "kind": "ListenerSet", "name": of, **more}])


def test_its_listeners_come_after_the_gateways_the_oldest_set_first() -> None:
    young, old = listener_set("a", http("x", 81)), aged(listener_set("b", http("x", 82)), "2020-01-01T00:00:00Z")
    world = fleet(aged(young, "2021-01-01T00:00:00Z"), old)
    assert names(world) == ["default/eg/http", "default/eg/default/b/x", "default/eg/default/a/x"]
    assert world.status(gateway())["attachedListenerSets"] == 2
    assert [each["name"] for each in world.status(gateway())["listeners"]] == ["http"]
    assert world.condition(young, "Programmed") == ("True", "Programmed")
    assert entry(world, young)["Conflicted"] == ("False", "NoConflicts")


@pytest.mark.parametrize(
    ("allowed", "taken"),
    [
        ({}, False),
        ({"namespaces": {"from": "Same"}}, False),
        ({"namespaces": {"from": "All"}}, True),
        ({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}}, True),
        ({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}, False),
    ],
)
def test_a_gateway_says_whose_sets_it_takes(allowed: Object, taken: bool) -> None:
    foreign = listener_set("more", http("x", 81), namespace="other")
    world = fleet(foreign, allowedListeners=allowed)
    assert world.condition(foreign, "Accepted") == (("True", "Accepted") if taken else ("False", "NotAllowed"))
    assert len(names(world)) == 1 + taken


def test_routes_name_a_set_and_its_sections() -> None:
    more = listener_set("more", http("x", 81), http("y", 82))
    world = fleet(more)
    world.put(on_set("both"), on_set("one", sectionName="y"), route("own"))
    assert [[r.metadata.name for r in each.routes if r.metadata] for each in world.ir().http] == [["own"], ["both"], ["both", "one"]]
    assert [each["attachedRoutes"] for each in world.status(more)["listeners"]] == [1, 2]
    assert world.condition(on_set("one"), "Accepted") == ("True", "Accepted")


def test_same_is_the_sets_own_namespace() -> None:
    world = fleet(listener_set("more", http("x", 81), namespace="other"))
    inside, outside = on_set("inside"), on_set("outside", namespace="other")
    inside["metadata"]["namespace"] = "other"
    world.put(inside, outside)
    assert world.condition(inside, "Accepted") == ("True", "Accepted")
    assert world.condition(outside, "Accepted") == ("False", "NotAllowedByListeners")


def test_the_gateways_own_listener_wins_over_a_sets() -> None:
    more = listener_set("more", http("same", 80), http("fine", 81))
    world = fleet(more)
    assert names(world) == ["default/eg/http", "default/eg/default/more/fine"]
    assert entry(world, more)["Accepted"] == ("False", "HostnameConflict")
    assert world.condition(more, "Accepted") == ("True", "ListenersNotValid")


def test_of_two_sets_the_older_wins_and_of_one_set_nobody() -> None:
    old, young = (
        aged(listener_set("b", http("x", 81)), "2020-01-01T00:00:00Z"),
        aged(listener_set("a", http("x", 81)), "2021-01-01T00:00:00Z"),
    )
    assert names(fleet(old, young)) == ["default/eg/http", "default/eg/default/b/x"]
    double = listener_set("more", http("x", 81), http("y", 81))
    world = fleet(double)
    assert names(world) == ["default/eg/http"]
    assert world.condition(double, "Accepted") == ("False", "ListenersNotValid")
    assert "attachedListenerSets" not in world.status(gateway())


def test_the_gateways_protocol_wins_over_a_sets() -> None:
    more = listener_set("more", listener("TCP", "x", 80))
    world = fleet(more)
    assert names(world) == ["default/eg/http"]
    assert entry(world, more)["Accepted"] == ("False", "ProtocolConflict")


def test_certificates_are_the_sets_own() -> None:
    more = listener_set("more", https("x", 8443), namespace="other")
    theirs = {**tls_secret(), "metadata": {"name": "cert", "namespace": "other"}}
    world = fleet(more, tls_secret(), theirs)
    assert names(world) == ["default/eg/http", "default/eg/other/more/x"]
    foreign = listener_set("more", https("x", 8443, tls={"certificateRefs": [{"name": "cert", "namespace": "default"}]}), namespace="other")
    world.put(foreign)
    assert entry(world, foreign)["ResolvedRefs"] == ("False", "RefNotPermitted")
    to = [{"group": "", "kind": "Secret"}]
    grant = {"from": [{"group": GATEWAY_API, "kind": "ListenerSet", "namespace": "other"}], "to": to}
    world.put(made(f"{GATEWAY_API}/v1", "ReferenceGrant", "g", grant))
    assert entry(world, foreign)["ResolvedRefs"] == ("True", "ResolvedRefs")


def test_an_unknown_certificate_holds_back_the_sets_status_alone() -> None:
    more = listener_set("more", https("x", 8443))
    world = fleet(more)
    assert list(world.last.pending) == [FLEET]
    assert "ListenerSet" not in {ref.kind for ref, _ in world.statuses}
    assert world.status(gateway())["listeners"][0]["attachedRoutes"] == 0
    world.put(tls_secret())
    assert world.condition(more, "Programmed") == ("True", "Programmed")


def test_a_parent_that_is_not_accepted() -> None:
    more = listener_set("more", http("x", 81))
    world = fleet(more, **ALL, addresses=[{"type": "NamedAddress", "value": "x"}])
    assert world.condition(more, "Accepted") == ("False", "ParentNotAccepted")


def test_a_parent_of_somebody_else_says_nothing() -> None:
    world = World(listener_set("more", http("x", 81)), gateway(**ALL))
    assert not world.statuses


def test_a_set_disturbs_only_its_own_routes() -> None:
    routes = [route(f"r{i}", f"/{i}") for i in range(30)]
    world = fleet(listener_set("more", http("x", 81)), *routes, on_set("mine"))
    edited = listener_set("more", http("x", 81))
    edited["metadata"]["annotations"] = {"a": "b"}
    assert "attachments" not in evaluated(world, lambda: world.put(edited))
    cost = evaluated(world, lambda: world.put(on_set("mine", sectionName="x")))
    assert cost["attachments"] == 1
    world.drop(edited)
    assert names(world) == ["default/eg/http"]
    assert not [k for k in world.shards[FLEET] if "mine" in k]
