"""What a change costs: only what reads it is computed again, and only what comes out different is put out."""

from __future__ import annotations

import random
from typing import Any

from shared.ir.status import InfraStatus, Rejection, XdsStatus
from tests.unit.translator.build import (
    ENVOY,
    FLEET,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    grpc_route,
    http,
    listener,
    listener_set,
    made,
    quickstart,
    ref_of,
    route,
    service,
    stream_route,
)

ROUTES = 300


def crowd(*listeners: Object) -> World:
    routes = [route(f"r{i}", f"/p{i}") for i in range(ROUTES)]
    return World(gateway_class(), gateway(*listeners), service(), endpoints("app", "10.1.1.1"), *routes)


def evaluated(world: World, change: Any) -> dict[str, int]:
    before = dict(world.translator.db.evaluations)
    change()
    return {k: n - before.get(k, 0) for k, n in world.translator.db.evaluations.items() if n != before.get(k, 0)}


def test_one_edited_route_costs_that_route_and_yields_one_shard() -> None:
    world = crowd()
    cost = evaluated(world, lambda: world.put(route("r7", "/other")))
    assert list(world.last.shards) == [FLEET]
    assert list(world.last.shards[FLEET]) == ["http.http.HTTPRoute.default.r7"]
    assert not world.last.infra
    assert not world.last.statuses
    assert sum(cost.values()) <= 8, cost


def test_one_edited_route_yields_one_shard_for_each_listener() -> None:
    world = crowd(http(), http("other", 8080))
    world.put(route("r7", "/other"))
    assert sorted(world.last.shards[FLEET]) == ["http.http.HTTPRoute.default.r7", "http.other.HTTPRoute.default.r7"]


def test_an_edited_route_costs_the_same_however_many_there_are() -> None:
    few = World(*quickstart(), *(route(f"r{i}", f"/p{i}") for i in range(3)))
    many = crowd()
    edit = route("r1", "/other")
    assert evaluated(few, lambda: few.put(edit)) == evaluated(many, lambda: many.put(edit))


def test_new_endpoints_touch_no_route() -> None:
    world = crowd()
    cost = evaluated(world, lambda: world.put(endpoints("app", "10.1.1.1", "10.1.1.2")))
    assert list(world.last.shards[FLEET]) == ["endpoints.Service.default.app.80"]
    assert not world.last.statuses
    assert "rules" not in cost
    assert "route_status" not in cost


def test_a_new_route_counts_at_its_listener() -> None:
    world = crowd()
    cost = evaluated(world, lambda: world.put(route("new", "/new")))
    assert [(ref.kind, ref.name) for ref, _ in world.last.statuses] == [("Gateway", "eg"), ("HTTPRoute", "new")]
    assert world.status(gateway())["listeners"][0]["attachedRoutes"] == ROUTES + 1
    assert cost["rules"] == 1


def test_a_gateways_annotation_touches_no_route() -> None:
    world = crowd()
    edited = gateway()
    edited["metadata"]["annotations"] = {"gateway.envoyproxy.io/team": "a"}
    cost = evaluated(world, lambda: world.put(edited))
    assert list(world.last.shards[FLEET]) == ["http.http"]
    assert "attachments" not in cost


def test_an_equal_object_and_a_status_written_back_cause_nothing() -> None:
    world = World(*quickstart())
    again = route()
    again["status"] = {"parents": [{"conditions": []}]}
    again["metadata"]["resourceVersion"] = "2"
    again["metadata"]["managedFields"] = [{"manager": "headgate"}]
    assert evaluated(world, lambda: world.put(again)) == {}
    assert not world.last


def test_what_proxies_report_touches_no_route() -> None:
    world = crowd()
    world.translator.apply_xds_status(FLEET, "a", XdsStatus(version=1, proxies={"p": 1}))
    world.translator.apply_infra_status(FLEET, InfraStatus(addresses=("10.0.0.1",), ready=True, replicas=1))
    cost = evaluated(world, lambda: world.took(world.translator.apply({})))
    assert [ref.kind for ref, _ in world.last.statuses] == ["Gateway"]
    assert "route_status" not in cost


def test_a_rejection_touches_only_the_objects_that_it_names() -> None:
    world = crowd()
    rejected = Rejection(type_url="t", resource="r", detail="bad", objects=("gateway.networking.k8s.io/HTTPRoute/default/r7",))
    world.translator.apply_xds_status(FLEET, "a", XdsStatus(rejections=(rejected,)))
    cost = evaluated(world, lambda: world.took(world.translator.apply({})))
    assert world.condition(route("r7"), "Programmed") == ("False", "Invalid")
    assert cost["route_status"] == 1


def proxy(spec: Object) -> Object:
    return made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "p", spec)


def tls_policy(authorities: str) -> Object:
    validation = {"hostname": "a.example.com", "wellKnownCACertificates": authorities}
    spec = {"targetRefs": [{"group": "", "kind": "Service", "name": "app"}], "validation": validation}
    return made("gateway.networking.k8s.io/v1", "BackendTLSPolicy", "p", spec)


def test_any_order_of_edits_ends_where_a_fresh_start_ends() -> None:
    takes: Object = {"allowedListeners": {"namespaces": {"from": "All"}}}
    uses: Object = {"infrastructure": {"parametersRef": {"group": ENVOY, "kind": "EnvoyProxy", "name": "p"}}}
    collector = {"backendRefs": [{"name": "app", "port": 80}]}
    pool: list[list[Object]] = [[route(f"r{i}", f"/{j}", service=s) for j in range(3) for s in ("app", "none")] for i in range(3)] + [
        [
            gateway(),
            gateway(http(), http("b", 8080), listener("TCP", "tcp", 5432), **uses, **takes),
            gateway(http(hostname="*.example.com"), **takes),
        ],
        [service(), service(type="ExternalName")],
        [endpoints("app", "10.1.1.1"), endpoints("app"), endpoints("app", "10.1.1.2", ready=False)],
        [gateway_class()],
        [tls_policy("System"), tls_policy("Unheard")],
        [grpc_route(), grpc_route(method={"service": "a"})],
        [stream_route("TCPRoute"), stream_route("TCPRoute", service="none")],
        [stream_route("TCPRoute", "second")],
        [listener_set("more", http("x", 81)), listener_set("more", http("x", 80), http("y", 82))],
        [proxy({"mergeBackends": {}}), proxy({"telemetry": {"metrics": {"sinks": [{"openTelemetry": collector}]}}})],
    ]
    rng = random.Random(7)
    world = World()
    now: dict[Any, Object] = {}
    for _ in range(250):
        obj = rng.choice(rng.choice(pool))
        if rng.random() < 0.25:
            now.pop(ref_of(obj), None)
            world.drop(obj)
        else:
            now[ref_of(obj)] = obj
            world.put(obj)
        fresh = World(*now.values())
        assert world.shards == fresh.shards
        assert world.infra == fresh.infra
        assert world.statuses == fresh.statuses
