"""What a change costs, and that it comes out as if everything were rendered anew."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.resources import Resource, ResourceChanges
from services.xds_server.store import GatewayStore
from shared.ir.base import encode
from shared.ir.destination import Destination
from shared.ir.gateway import GatewayShard, GlobalResources, Metrics, ReadyListener
from shared.ir.shards import GATEWAY, http_key
from shared.ir.tls import ListenerTls, TlsCertificate
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

MANY = 200


def as_json(type_url: str, resource: Resource) -> dict[str, Any]:
    return to_json(decode(MESSAGES[type_url], decode("google.protobuf.Any", resource.any_bytes).value))


def upserts(changes: ResourceChanges) -> dict[str, list[str]]:
    return {t: sorted(c.upserts) for t, c in changes.items() if c.upserts}


def removals(changes: ResourceChanges) -> dict[str, list[str]]:
    return {t: sorted(c.removals) for t, c in changes.items() if c.removals}


def routes_of(store: GatewayStore, config: str = "default/eg/http") -> dict[str, list[dict[str, Any]]]:
    """Domain -> routes of a RouteConfiguration."""
    hosts = as_json(ROUTE, store.snapshot()[ROUTE][config]).get("virtualHosts", [])
    return {h["domains"][0]: h.get("routes", []) for h in hosts}


@pytest.fixture
def many() -> GatewayStore:
    store = b.store()
    store.apply(1, b.encoded(b.gateway(MANY)))
    return store


def ran(store: GatewayStore, changed: dict[str, bytes | None]) -> tuple[dict[str, int], ResourceChanges]:
    before = dict(store.evaluations)
    changes = store.apply(store.version + 1, changed)
    return {k: n - before.get(k, 0) for k, n in store.evaluations.items() if n != before.get(k, 0)}, changes


def test_one_edited_route_costs_that_route_and_its_joins(many: GatewayStore) -> None:
    counts, changes = ran(many, {b.route_key("r7"): encode(b.route("r7", host="h7.example.com", path="/new"))})
    of_route = {"route_outputs": 1, "route_places": 1, "route_clusters": 1, "route_assignments": 1}
    assert counts == of_route | {"virtual_hosts": 1, "route_configurations": 1}
    assert upserts(changes) == {ROUTE: ["default/eg/http"]}
    assert routes_of(many)["h7.example.com"][0]["match"] == {"pathSeparatedPrefix": "/new"}


def test_changed_endpoints_cost_their_assignment(many: GatewayStore) -> None:
    counts, changes = ran(many, {b.backend_key("r7"): encode(b.backend(("10.0.0.2", 8080)))})
    assert counts == {"shape": 1, "route_assignments": 1}
    assert upserts(changes) == {ENDPOINT: ["httproute/default/r7/rule/0"]}


def test_the_same_shards_again_change_nothing(many: GatewayStore) -> None:
    counts, changes = ran(many, b.encoded(b.gateway(MANY)))
    assert counts == {}
    assert changes == {}


def test_a_backend_without_endpoints_is_503_and_its_cluster_goes(many: GatewayStore) -> None:
    changes = many.apply(2, {b.backend_key("r7"): encode(b.backend())})
    assert upserts(changes) == {ROUTE: ["default/eg/http"]}
    assert removals(changes) == {CLUSTER: ["httproute/default/r7/rule/0"], ENDPOINT: ["httproute/default/r7/rule/0"]}
    assert routes_of(many)["h7.example.com"][0]["directResponse"] == {"status": 503}


def test_a_backend_of_no_weight_is_known_but_gets_nothing() -> None:
    store = b.store()
    shards = b.gateway(1)
    route = b.http_route("r0")
    destination = replace(route.destination or Destination(name=""), settings=(b.setting("r0", "r0", 0, 0), b.setting("r0", "r0", 1, 1)))
    shards[b.route_key("r0")] = replace(b.route("r0"), routes=(replace(route, destination=destination),))
    store.apply(1, b.encoded(shards))
    (assignment,) = store.snapshot()[ENDPOINT].values()
    assert [e.get("loadBalancingWeight") for e in as_json(ENDPOINT, assignment)["endpoints"]] == [None, 1]


def test_a_removed_route_takes_its_virtual_host_along(many: GatewayStore) -> None:
    changes = many.apply(2, {b.route_key("r7"): None})
    assert "h7.example.com" not in routes_of(many)
    assert removals(changes) == {CLUSTER: ["httproute/default/r7/rule/0"], ENDPOINT: ["httproute/default/r7/rule/0"]}


def test_routes_of_one_host_stand_in_the_order_of_their_matches() -> None:
    store = b.store()
    shards = b.gateway()
    for name, path in (("short", "/a"), ("long", "/a/b/c"), ("root", "/")):
        shards[b.route_key(name)] = b.route(name, path=path, backend="app")
    shards[b.backend_key("app")] = b.backend(("10.0.0.1", 80))
    store.apply(1, b.encoded(shards))
    assert [r["match"] for r in routes_of(store)["*"]] == [
        {"pathSeparatedPrefix": "/a/b/c"},
        {"pathSeparatedPrefix": "/a"},
        {"prefix": "/"},
    ]


def test_a_bad_regex_costs_its_route_alone() -> None:
    store = b.store()
    store.apply(1, b.encoded(b.gateway(2) | {b.route_key("bad"): b.route("bad", host="bad.example.com", regex="/(")}))
    assert sorted(routes_of(store)) == ["h0.example.com", "h1.example.com"]
    assert list(store.problems) == [b.route_key("bad")]
    assert "/(" in store.problems[b.route_key("bad")][0]
    store.apply(2, {b.route_key("bad"): encode(b.route("bad", host="bad.example.com", regex="/ok.*"))})
    assert store.problems == {}
    assert "bad.example.com" in routes_of(store)


def test_an_unreadable_shard_keeps_its_last_content(many: GatewayStore) -> None:
    assert many.apply(2, {b.route_key("r7"): b'{"order": 3}', "nobody.knows.this": b"{}"}) == {}
    assert sorted(many.problems) == [b.route_key("r7"), "nobody.knows.this"]


def test_a_host_of_two_plain_listeners_of_a_port_stands_once() -> None:
    store = b.store()
    keys = (http_key("a"), http_key("b"))
    shards: b.Shards = {GATEWAY: GatewayShard(http_listeners=keys), keys[0]: b.listener(80, "a"), keys[1]: b.listener(80, "b")}
    shards |= {b.route_key("one", "a"): b.route("one", "x.example.com", "/a", "app"), b.backend_key("app"): b.backend(("10.0.0.1", 80))}
    shards |= {b.route_key("two", "b"): b.route("two", "x.example.com", "/b", "app"), b.route_key("z", "b"): b.route("z", "z.example.com")}
    store.apply(1, b.encoded(shards))
    hosts = as_json(ROUTE, store.snapshot()[ROUTE]["default/eg/a"])["virtualHosts"]
    assert [h["domains"] for h in hosts] == [["x.example.com"], ["z.example.com"]]
    assert hosts[0]["routes"][0]["match"] == {"pathSeparatedPrefix": "/a"}


def test_a_host_of_two_plain_listeners_is_the_more_exact_ones() -> None:
    store = b.store()
    keys = (http_key("a"), http_key("b"))
    shards: b.Shards = {
        GATEWAY: GatewayShard(http_listeners=keys),
        keys[0]: b.listener(80, "a"),
        keys[1]: b.listener(80, "b", hostnames=("*.example.com",)),
        b.backend_key("app"): b.backend(("10.0.0.1", 80)),
        b.route_key("one", "a"): b.route("one", "x.example.com", "/a", "app"),
        b.route_key("two", "b"): b.route("two", "x.example.com", "/b", "app"),
    }
    store.apply(1, b.encoded(shards))
    assert {r["match"]["pathSeparatedPrefix"] for rs in routes_of(store, "default/eg/a").values() for r in rs} == {"/b"}


def tls(name: str, key: str = "sealed:KEY") -> ListenerTls:
    return ListenerTls(certificates=(TlsCertificate(name=name, certificate="Q0VSVA==", private_key=key),))


def test_https_listeners_of_a_port_are_filter_chains_with_their_own_routes() -> None:
    store = b.store()
    keys = (http_key("a"), http_key("b"))
    shards: b.Shards = {
        GATEWAY: GatewayShard(http_listeners=keys),
        keys[0]: b.listener(10443, "a", tls("cert-a"), ("a.example.com",)),
        keys[1]: b.listener(10443, "b", tls("cert-b"), ("b.example.com",)),
    }
    store.apply(1, b.encoded(shards))
    resources = store.snapshot()
    listener = as_json(LISTENER, resources[LISTENER]["default/eg/a"])
    assert [c["filterChainMatch"]["serverNames"] for c in listener["filterChains"]] == [["a.example.com"], ["b.example.com"]]
    assert sorted(resources[ROUTE]) == ["default/eg/a", "default/eg/b"]
    assert sorted(resources[SECRET]) == ["cert-a", "cert-b"]


def test_a_key_that_cannot_be_opened_costs_its_listener_alone() -> None:
    store = b.store()
    keys = (http_key("a"), http_key("b"))
    shards: b.Shards = {
        GATEWAY: GatewayShard(http_listeners=keys),
        keys[0]: b.listener(10443, "a", tls("cert-a"), ("a.example.com",)),
        keys[1]: b.listener(10443, "b", tls("cert-b", "broken"), ("b.example.com",)),
    }
    store.apply(1, b.encoded(shards))
    listener = as_json(LISTENER, store.snapshot()[LISTENER]["default/eg/a"])
    assert len(listener["filterChains"]) == 1
    assert list(store.problems) == [keys[1]]
    assert "broken" not in str(store.problems)


def test_a_gateways_own_key_that_cannot_be_opened_costs_nothing_else() -> None:
    store = b.store()
    shards = b.gateway(1)
    ready = ReadyListener(address="127.0.0.1", port=19003, path="/ready", ip_family="IPv4")
    own = GlobalResources(envoy_client_certificate=TlsCertificate(name="envoy", certificate="Q0VSVA==", private_key="broken"))
    shards[GATEWAY] = GatewayShard(http_listeners=(b.LISTENER,), ready_listener=ready, global_resources=own)
    store.apply(1, b.encoded(shards))
    assert sorted(store.snapshot()[LISTENER]) == ["default/eg/http", "envoy-gateway-proxy-ready-127.0.0.1-19003"]
    assert list(store.problems) == [GATEWAY]


def test_the_version_says_what_the_content_is() -> None:
    one, two = b.store(), b.store()
    shards = b.encoded(b.gateway(5))
    one.apply(1, shards)
    for n, key in enumerate(random.Random(1).sample(sorted(shards), len(shards))):
        two.apply(n + 1, {key: shards[key]})
    assert one.snapshot() == two.snapshot()


def test_random_edits_come_out_as_a_fresh_start() -> None:
    chance = random.Random(7)
    store = b.store()
    now: b.Shards = dict(b.gateway(6))
    store.apply(1, b.encoded(now))
    for version in range(2, 80):
        i = chance.randrange(6)
        key = chance.choice((b.route_key(f"r{i}"), b.backend_key(f"r{i}"), GATEWAY))
        if key == GATEWAY:
            now[key] = GatewayShard(http_listeners=(b.LISTENER,), metrics=Metrics(enable_virtual_host_stats=chance.random() < 0.5))
        elif chance.random() < 0.3:
            now.pop(key, None)
        elif key.startswith("http"):
            now[key] = b.route(f"r{i}", host=chance.choice(("a.example.com", "b.example.com")), path=f"/{chance.randrange(4)}")
        else:
            now[key] = b.backend(*[("10.0.0.1", 8000 + n) for n in range(chance.randrange(3))])
        store.apply(version, {key: encode(now[key]) if key in now else None})
        fresh = b.store()
        fresh.apply(1, b.encoded(now))
        assert store.snapshot() == fresh.snapshot()
