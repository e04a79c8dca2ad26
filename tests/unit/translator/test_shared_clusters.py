"""mergeBackends: which routes share a backend's cluster, and that the cluster lives as long as one of them."""

from __future__ import annotations

from typing import Any

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
    made,
    route,
    service,
    stream_route,
)
from tests.unit.translator.test_incremental import evaluated

KEY = "clusters.service.default.app.80.http"
NAME = "service/default/app/80/http"


def merging(*objects: Object, **selector: Any) -> World:
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "p", {"mergeBackends": selector})
    reference = {"parametersRef": {"group": ENVOY, "kind": "EnvoyProxy", "name": "p"}}
    listeners = (http(), listener("TCP", "tcp", 5432))
    base = (gateway_class(), proxy, gateway(*listeners, infrastructure=reference), service(), endpoints("app", "10.1.1.1"))
    return World(*base, *objects)


def test_routes_share_a_cluster_which_lives_as_long_as_one_of_them() -> None:
    world = merging(route("a", "/a"), route("b", "/b"))
    ir = world.ir()
    assert [c.name for c in ir.backend_clusters] == [NAME]
    assert [e.host for e in ir.backend_clusters[0].setting.endpoints] == ["10.1.1.1"]
    for each in ir.http[0].routes:
        assert each.destination is not None
        assert each.destination.settings == ()
        assert [(r.name, r.weight) for r in each.destination.backend_cluster_refs] == [(NAME, 1)]
    world.drop(route("a", "/a"))
    assert KEY in world.shards[FLEET]
    world.drop(route("b", "/b"))
    assert world.shards[FLEET].keys() & {KEY} == set()


def test_another_route_on_the_same_backend_leaves_the_cluster_alone() -> None:
    world = merging(*(route(f"r{i}", f"/{i}") for i in range(30)))
    cost = evaluated(world, lambda: world.put(route("new", "/new")))
    assert list(world.last.shards[FLEET]) == ["http.http.HTTPRoute.default.new"]
    # each kind of policy is asked whether it has a say
    assert sum(cost.values()) <= 22, cost
    world.put(endpoints("app", "10.1.1.2"))
    assert list(world.last.shards[FLEET]) == ["endpoints.Service.default.app.80"]


def test_a_protocol_is_a_cluster_of_its_own() -> None:
    world = merging(route("a", "/a"), grpc_route("b", {"service": "b"}))
    assert [c.name.rpartition("/")[2] for c in world.ir().backend_clusters] == ["http", "grpc"]


def test_a_backend_with_filters_of_its_own_does_not_share() -> None:
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}
    refs = [{"name": "app", "port": 80, "filters": [header]}, {"name": "app", "port": 80, "weight": 3}]
    (only,) = merging(route(rule={"backendRefs": refs})).ir().http[0].routes
    assert only.destination is not None
    assert [s.name for s in only.destination.settings] == ["httproute/default/app/rule/0/backend/0"]
    assert [r.weight for r in only.destination.backend_cluster_refs] == [3]


def test_sessions_keep_several_backends_together() -> None:
    refs = [{"name": "app", "port": 80}, {"name": "app", "port": 80}]
    world = merging(route(rule={"backendRefs": refs, "sessionPersistence": {"type": "Cookie"}}))
    assert world.ir().backend_clusters == ()


def test_the_selector_chooses_backends() -> None:
    selector = {"selector": {"matchLabels": {"share": "yes"}}}
    assert merging(route(), **selector).ir().backend_clusters == ()
    labelled = service()
    labelled["metadata"]["labels"] = {"share": "yes"}
    assert len(merging(route(), labelled, **selector).ir().backend_clusters) == 1


def test_connections_cannot_be_split_over_clusters() -> None:
    one, two = ({"backendRefs": [{"name": "app", "port": 80}] * n} for n in (1, 2))
    assert len(merging(stream_route("TCPRoute", rules=[one])).ir().backend_clusters) == 1
    assert merging(stream_route("TCPRoute", rules=[two])).ir().backend_clusters == ()


def test_a_shared_cluster_without_endpoints_answers_503() -> None:
    world = merging(route())
    world.put(endpoints("app"))
    answer = world.ir().http[0].routes[0].direct_response
    assert answer is not None
    assert answer.status_code == 503
    assert world.ir().backend_clusters == ()
    assert list(world.last.shards[FLEET]) == ["endpoints.Service.default.app.80"]
