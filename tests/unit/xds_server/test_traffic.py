"""What a policy on a route's traffic becomes, on the route, its cluster and its endpoints."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.features.traffic.health_check.ir import ActiveCheck, HealthCheck, HttpCheck
from shared.features.traffic.load_balancer.ir import ConsistentHash, LoadBalancer, Named, WeightedZone
from shared.features.traffic.timeout.ir import HttpTimeout, TcpTimeout, Timeout
from shared.ir.base import encode
from shared.ir.destination import Endpoint, EndpointsShard
from shared.ir.http import HttpListener
from shared.ir.metadata import PolicyMetadata
from shared.ir.policy import Policies, PolicyShard
from shared.ir.traffic import Traffic
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b


def with_traffic(traffic: Traffic, validate: bool = True, **fields: Any) -> GatewayStore:
    """A store with one route of that traffic."""
    shards = b.gateway(1)
    key = b.route_key("r0")
    route = b.route("r0", host="h0.example.com")
    shards[key] = replace(route, routes=tuple(replace(r, traffic=traffic, **fields) for r in route.routes))
    zones = (Endpoint(host="10.0.0.1", port=80, zone="a"), Endpoint(host="10.0.0.2", port=80, zone="b"))
    shards[b.backend_key("r0")] = EndpointsShard(address_type="IP", endpoints=zones)
    store = b.store(validate=validate)
    store.apply(1, b.encoded(shards))
    return store


def only(store: GatewayStore, url: str) -> dict[str, Any]:
    (resource,) = store.snapshot()[url].values()
    return to_json(decode(MESSAGES[url], decode("google.protobuf.Any", resource.any_bytes).value))


def action(store: GatewayStore) -> dict[str, Any]:
    found: dict[str, Any] = only(store, ROUTE)["virtualHosts"][0]["routes"][0]["route"]
    return found


def test_a_routes_own_timeout_goes_before_the_policys() -> None:
    traffic = Traffic(timeout=Timeout(http=HttpTimeout(request_timeout="5s"), tcp=TcpTimeout(connect_timeout="3s")))
    store = with_traffic(traffic)
    assert action(store)["timeout"] == "5s"
    assert only(store, CLUSTER)["connectTimeout"] == "3s"
    assert action(with_traffic(traffic, timeout="7s"))["timeout"] == "7s"


def test_a_stream_may_be_idle_as_long_as_its_request_may_last() -> None:
    for request, idle in (("5s", "3600s"), ("2h", "7200s"), ("0s", "0s")):
        assert action(with_traffic(Traffic(timeout=Timeout(http=HttpTimeout(request_timeout=request)))))["idleTimeout"] == idle


def test_a_hash_pins_a_client_to_endpoint_and_backend() -> None:
    balancer = LoadBalancer(consistent_hash=ConsistentHash(headers=(Named(name="x-user"),)))
    store = with_traffic(Traffic(load_balancer=balancer))
    assert action(store)["hashPolicy"] == [{"header": {"headerName": "x-user"}}]
    (policy,) = only(store, CLUSTER)["loadBalancingPolicy"]["policies"]
    assert policy["typedExtensionConfig"]["name"] == "envoy.load_balancing_policies.maglev"


def test_zones_have_the_weights_that_they_were_given() -> None:
    store = with_traffic(Traffic(load_balancer=LoadBalancer(weighted_zones=(WeightedZone(zone="b", weight=70),))))
    assert {e["locality"]["zone"]: e["loadBalancingWeight"] for e in only(store, ENDPOINT)["endpoints"]} == {"a": 1, "b": 70}
    assert action(store)["weightedClusters"]["clusters"] == [{"name": "httproute/default/r0/rule/0/backend/0", "weight": 1}]


def test_a_health_check_asks_for_the_routes_host() -> None:
    check = ActiveCheck(timeout="1s", interval="3s", unhealthy_threshold=3, healthy_threshold=1, http=HttpCheck(path="/ok"))
    (made,) = only(with_traffic(Traffic(health_check=HealthCheck(active=check))), CLUSTER)["healthChecks"]
    assert made["httpHealthCheck"] == {"host": "h0.example.com", "path": "/ok"}


def test_circuit_breakers_keep_the_default_for_retries() -> None:
    store = with_traffic(Traffic(circuit_breaker=CircuitBreaker(max_connections=5)))
    assert only(store, CLUSTER)["circuitBreakers"] == {"thresholds": [{"maxConnections": 5, "maxRetries": 1024}]}


def test_a_cluster_that_envoy_would_refuse_costs_its_route_alone() -> None:
    check = ActiveCheck(timeout="1s", interval="0s", unhealthy_threshold=3, healthy_threshold=1, http=HttpCheck(path="/ok"))
    store = with_traffic(Traffic(health_check=HealthCheck(active=check)))
    assert CLUSTER not in store.snapshot()
    (problem,) = store.problems[b.route_key("r0")]
    assert "health_checks.interval" in problem


def test_a_policy_of_all_routes_costs_what_it_is_about() -> None:
    """Edited as to requests it leaves clusters alone, and the other way round; neither disturbs the listener."""
    key = "policy.BackendTrafficPolicy.default.all"

    def policy(request_timeout: str, connections: int) -> bytes:
        traffic = Traffic(
            timeout=Timeout(http=HttpTimeout(request_timeout=request_timeout)), circuit_breaker=CircuitBreaker(max_connections=connections)
        )
        return encode(PolicyShard(policy=PolicyMetadata(kind="BackendTrafficPolicy", name="all", namespace="default"), traffic=traffic))

    store = b.store()
    shards = b.gateway(5)
    listener = shards[b.LISTENER]
    assert isinstance(listener, HttpListener)
    store.apply(1, {**b.encoded(shards), b.LISTENER: encode(replace(listener, policies=Policies(traffic=(key,)))), key: policy("1s", 1)})

    def ran(version: int, data: bytes) -> tuple[set[str], set[str]]:
        before = dict(store.evaluations)
        changes = store.apply(version, {key: data})
        return {k for k, n in store.evaluations.items() if n != before.get(k, 0)}, {t.rpartition(".")[2] for t in changes}

    functions, types = ran(2, policy("2s", 1))
    assert types == {"RouteConfiguration"}
    assert "route_clusters" not in functions
    functions, types = ran(3, policy("2s", 2))
    assert types == {"Cluster"}
    assert "route_outputs" not in functions
    assert "xds_listeners" not in functions
