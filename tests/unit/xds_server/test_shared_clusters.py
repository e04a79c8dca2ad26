"""Routes that share a backend's cluster: it is rendered once, comes and goes with its shard, and each route keeps its weights."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE
from services.xds_server.store import GatewayStore
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.ir.base import IR, encode
from shared.ir.destination import BackendCluster, Destination, DestinationSetting
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpRouteShard, RouteOrder
from shared.ir.shards import GATEWAY, cluster_key, tcp_key, tcp_route_key
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard
from shared.ir.traffic import ClusterTraffic
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.test_store import as_json, ran, removals, routes_of, upserts

NAME = "service/default/app/80/http"
KEY = cluster_key(NAME)


def destination(route: str, *settings: DestinationSetting) -> Destination:
    return Destination(name=f"httproute/default/{route}/rule/0", settings=settings)


def sharing(route: str, weight: int = 1) -> DestinationSetting:
    whole = b.setting(route, "app", weight=weight)
    return DestinationSetting(name=whole.name, weight=weight, endpoints_ref=whole.endpoints_ref, backend_cluster=NAME)


def route(name: str, *own: DestinationSetting, weight: int = 1) -> HttpRouteShard:
    plain = b.route(name, host=f"{name}.example.com")
    to = destination(name, sharing(name, weight), *own)
    return replace(plain, routes=tuple(replace(r, destination=to) for r in plain.routes))


def cluster(traffic: ClusterTraffic | None = None) -> BackendCluster:
    of = replace(b.setting("any", "app"), name=NAME, weight=None)
    return BackendCluster(name=NAME, setting=of, traffic=traffic)


def action(store: GatewayStore, name: str) -> dict[str, Any]:
    found: dict[str, Any] = routes_of(store)[f"{name}.example.com"][0]["route"]
    return found


@pytest.fixture
def store() -> GatewayStore:
    made = b.store()
    shards: b.Shards = {**b.gateway(), KEY: cluster(), b.backend_key("app"): b.backend(("10.0.0.1", 80))}
    shards |= {b.route_key(name): route(name) for name in ("one", "two")}
    made.apply(1, b.encoded(shards))
    assert made.problems == {}
    return made


def test_routes_lead_to_the_one_cluster(store: GatewayStore) -> None:
    resources = store.snapshot()
    assert list(resources[CLUSTER]) == list(resources[ENDPOINT]) == [NAME]
    assert [action(store, name)["cluster"] for name in ("one", "two")] == [NAME, NAME]


def test_changed_endpoints_are_sent_once(store: GatewayStore) -> None:
    counts, changes = ran(store, {b.backend_key("app"): encode(b.backend(("10.0.0.2", 80)))})
    assert counts == {"shape": 1, "shared_assignments": 1}
    assert upserts(changes) == {ENDPOINT: [NAME]}


def test_a_changed_cluster_costs_no_route(store: GatewayStore) -> None:
    counts, changes = ran(store, {KEY: encode(cluster(ClusterTraffic(circuit_breaker=CircuitBreaker(max_connections=7))))})
    assert counts == {"shared_clusters": 1, "shared_assignments": 1}
    assert upserts(changes) == {CLUSTER: [NAME]}
    assert as_json(CLUSTER, store.snapshot()[CLUSTER][NAME])["circuitBreakers"]["thresholds"][0]["maxConnections"] == 7


def test_without_endpoints_every_route_answers_503_and_the_cluster_goes(store: GatewayStore) -> None:
    changes = store.apply(2, {b.backend_key("app"): encode(b.backend())})
    assert removals(changes) == {CLUSTER: [NAME], ENDPOINT: [NAME]}
    assert {r["directResponse"]["status"] for rs in routes_of(store).values() for r in rs} == {503}
    changes = store.apply(3, {b.backend_key("app"): encode(b.backend(("10.0.0.1", 80)))})
    assert upserts(changes) == {CLUSTER: [NAME], ENDPOINT: [NAME], ROUTE: ["default/eg/http"]}


def test_it_goes_with_its_shard_alone(store: GatewayStore) -> None:
    assert removals(store.apply(2, {b.route_key("one"): None})) == {}
    assert removals(store.apply(3, {b.route_key("two"): None, KEY: None})) == {CLUSTER: [NAME], ENDPOINT: [NAME]}


def test_a_routes_own_backends_are_weighed_against_it(store: GatewayStore) -> None:
    changes = store.apply(
        2,
        {
            b.route_key("one"): encode(route("one", b.setting("one", "own", 1, weight=3), weight=7)),
            b.backend_key("own"): encode(b.backend(("10.0.0.9", 80))),
        },
    )
    own = "httproute/default/one/rule/0/backend/1"
    assert action(store, "one")["weightedClusters"]["clusters"] == [{"name": own, "weight": 3}, {"name": NAME, "weight": 7}]
    assert action(store, "two")["cluster"] == NAME
    assert upserts(changes) == {CLUSTER: [own], ENDPOINT: [own], ROUTE: ["default/eg/http"]}


def test_a_cluster_that_cannot_be_read_stays_as_it_was(store: GatewayStore) -> None:
    assert store.apply(2, {KEY: b'{"name": 3}'}) == {}
    assert list(store.problems) == [KEY]


def test_a_cluster_that_envoy_refuses_is_set_aside_as_it_was(store: GatewayStore) -> None:
    store.accept()
    before = store.content((CLUSTER, NAME))
    store.apply(2, {KEY: encode(cluster(ClusterTraffic(circuit_breaker=CircuitBreaker(max_connections=7))))})
    assert store.suspects_of((CLUSTER, NAME)) == ((KEY,),)
    store.quarantine([KEY])
    assert store.content((CLUSTER, NAME)) == before


def test_connections_lead_to_it_whether_or_not_it_has_endpoints() -> None:
    made = b.store()
    at = tcp_key("db")
    of = TcpRoute(name="tcproute/default/one", destination=destination("one", sharing("one")))
    shards: dict[str, IR] = {
        GATEWAY: GatewayShard(tcp_listeners=(at,)),
        at: TcpListener(name="default/eg/db", address="127.0.0.1", port=10080),
        tcp_route_key("db", "TCPRoute", "default", "one"): TcpRouteShard(order=RouteOrder(kind_rank=1), route=of),
        b.backend_key("app"): b.backend(("10.0.0.1", 80)),
        KEY: cluster(),
    }
    made.apply(1, b.encoded(shards))
    listener = as_json(LISTENER, made.snapshot()[LISTENER]["default/eg/db"])
    assert listener["filterChains"][0]["filters"][0]["typedConfig"]["cluster"] == NAME
    assert list(made.snapshot()[CLUSTER]) == [NAME]
    changes = made.apply(2, {b.backend_key("app"): encode(b.backend())})
    assert upserts(changes) == {}
    assert removals(changes) == {CLUSTER: [NAME], ENDPOINT: [NAME]}
