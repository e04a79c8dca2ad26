"""What extension servers are asked, and how often."""

from __future__ import annotations

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER
from shared.extension.protocol import TRANSLATION
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.http import HttpRouteShard
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.hooks_world import (
    FILTER,
    World,
    headers,
    hosts,
    server,
    shards,
    thing,
)


def test_nobody_is_asked_who_did_not_want_it() -> None:
    world = World(server("VirtualHost"), content=b.gateway())
    assert world.asked == []
    assert World(content=shards()).store.asks() == frozenset()


def test_a_route_that_names_an_object_is_asked_about_and_no_other() -> None:
    world = World(server("Route"))
    (ask,) = world.asked
    assert ask.resource == "http.http/httproute/default/r0/rule/0/match/0/h0_example_com"
    found = hosts(world)
    assert headers(found["h0.example.com"]["routes"][0]) == {"x-ext": "h0.example.com,a"}
    assert headers(found["h1.example.com"]["routes"][0]) == {}


def test_every_virtual_host_is_asked_about_with_what_routes_became() -> None:
    world = World(server("Route", "VirtualHost"))
    assert [a.hook for a in world.asked] == ["Route", "VirtualHost", "VirtualHost"]
    found = hosts(world)["h0.example.com"]
    assert headers(found) == {"x-ext": "1"}
    assert headers(found["routes"][0]) == {"x-ext": "h0.example.com,a"}


def test_listeners_clusters_and_endpoints() -> None:
    world = World(server("HTTPListener", "Cluster", "Endpoints"))
    assert world.made(LISTENER)["default/eg/http"]["statPrefix"] == "ext:all"
    clusters = world.made(CLUSTER)
    assert {name: c.get("altStatName") for name, c in clusters.items()} == {
        "httproute/default/r0/rule/0": "one",
        "httproute/default/r1/rule/0": None,
    }
    assert all(e["endpoints"][0]["locality"]["subZone"] == "ext" for e in world.made(ENDPOINT).values())


def test_an_edit_asks_only_for_what_changed() -> None:
    world = World(server("Route", "VirtualHost", "HTTPListener", "Cluster", "Endpoints"))
    edited = b.route("r1", host="h1.example.com", path="/new")
    assert world.since(lambda: world.put({b.route_key("r1"): edited})) == ["ext VirtualHost default/eg/http/h1.example.com"]
    moved = b.backend(("10.0.0.9", 8080))
    assert world.since(lambda: world.put({b.backend_key("r1"): moved})) == ["ext Endpoints http.http/httproute/default/r1/rule/0"]
    other = thing("Filter", "one", header="b")
    assert [line.split()[1] for line in world.since(lambda: world.put({FILTER: other}))] == ["Cluster", "Route", "VirtualHost"]
    assert world.since(lambda: world.put({FILTER: other})) == []


def test_work_is_what_the_change_is() -> None:
    world = World(server("Route", "VirtualHost"), content=shards(50, filtered=tuple(range(50))))
    before = dict(world.store.evaluations)
    edited = shards(50, filtered=(7,))[b.route_key("r7")]
    assert isinstance(edited, HttpRouteShard)
    made = tuple(replace(r, timeout="5s") for r in edited.routes)
    assert len(world.since(lambda: world.put({b.route_key("r7"): replace(edited, routes=made)}))) == 2
    after = world.store.evaluations
    assert sum(after.values()) - sum(before.values()) < 20, "not the 50 routes that there are"


def test_a_restart_asks_the_same_questions() -> None:
    of = server("Route", "VirtualHost", "HTTPListener", "Cluster", "Endpoints", TRANSLATION)
    first, second = World(of), World(of)
    assert [a.digest for a in first.asked] == [a.digest for a in second.asked]
    assert first.store.snapshot() == second.store.snapshot()
    anew = World(of._replace(generation="2"))
    assert not {a.digest for a in first.asked} & {a.digest for a in anew.asked}


def test_several_servers_work_on_what_the_one_before_gave() -> None:
    world = World(server("VirtualHost", "Route", name="a"), server("VirtualHost", "Route", TRANSLATION, name="b"))
    assert headers(hosts(world)["h0.example.com"]) == {"x-a": "1", "x-b": "1"}
    assert [a.server for a in world.asked if a.hook == "Route"] == ["a", "b"]
    assert "b-extra" in world.made(CLUSTER)


def test_each_server_is_told_of_objects_of_its_own_kinds() -> None:
    other = server("Route", name="other")._replace(resources=frozenset({("else.io", "Thing")}))
    world = World(other)
    assert headers(hosts(world)["h0.example.com"]["routes"][0]) == {"x-other": "h0.example.com"}


def test_a_custom_backend_is_a_cluster_without_endpoints_for_its_server_to_fill() -> None:
    content = shards()
    of = content[b.route_key("r0")]
    assert isinstance(of, HttpRouteShard)
    custom = DestinationSetting(name="s", weight=1, is_custom_backend=True)
    content[b.route_key("r0")] = replace(of, routes=(replace(of.routes[0], destination=Destination(name="c", settings=(custom,))),))
    world = World(server("Cluster"), content=content)
    assert world.made(CLUSTER)["c"]["altStatName"] == "one"
    assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "c"
