"""What becomes of extension servers' answers: those that are late, withheld, refused, or stand in for others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from services.xds_server.hooks.judge import Refused, judged
from services.xds_server.hooks.plan import Answer, Ask
from services.xds_server.render.types import CLUSTER, ENDPOINT, ROUTE
from services.xds_server.store import GatewayStore
from shared.extension.protocol import TRANSLATION
from shared.ir.destination import Destination
from shared.ir.http import HttpRouteShard
from shared.xds.message import build
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.hooks_world import (
    FILTER,
    World,
    hosts,
    replies,
    server,
    shards,
    thing,
)


def test_what_is_not_answered_yet_stays_as_it_was() -> None:
    world = World(server("Route"))
    before = world.store.snapshot()
    world.reply = lambda ask: None
    edited = shards()[b.route_key("r0")]
    assert isinstance(edited, HttpRouteShard)
    world.store.apply(2, b.encoded({b.route_key("r0"): replace(edited, routes=tuple(replace(r, timeout="5s") for r in edited.routes))}))
    (ask,) = world.store.asks()
    assert world.store.snapshot() == before
    world.store.apply(3, b.encoded({b.route_key("r1"): b.route("r1", host="h1.example.com", path="/other")}))
    assert world.store.snapshot()[ROUTE] != before[ROUTE], "others are not held up"
    assert world.store.asks() == {ask}


def test_an_answer_that_is_withheld_takes_only_its_resource() -> None:
    world = World(server("Route"), content=b.gateway(2))
    world.reply = lambda ask: Answer(withheld=True)
    world.put(shards())
    found = hosts(world)
    assert "h0.example.com" not in found
    assert len(found["h1.example.com"]["routes"]) == 1
    world.store.answer({ask: Answer() for ask in world.asked})
    assert "h0.example.com" in hosts(world), "a later answer counts"


def test_clusters_come_before_what_leads_to_them_and_go_after() -> None:
    world = World(server("Route", "Cluster"))
    of = shards()[b.route_key("r0")]
    assert isinstance(of, HttpRouteShard)
    moved = replace(of.routes[0], destination=Destination(name="other", settings=(b.setting("r0", "r1"),)))
    row = replace(of, routes=(moved,))
    world.store.apply(2, b.encoded({b.route_key("r0"): row}))
    by_hook = {ask.hook: ask for ask in world.store.asks()}
    world.store.answer({by_hook["Route"]: Answer()})
    assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "httproute/default/r0/rule/0"
    assert "httproute/default/r0/rule/0" in world.made(CLUSTER)
    world.store.answer({by_hook["Cluster"]: Answer()})
    assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "other"
    assert "other" in world.made(CLUSTER)
    assert "httproute/default/r0/rule/0" not in world.made(CLUSTER)


def led_to(name: str) -> HttpRouteShard:
    """The first route, to a cluster of that name."""
    of = shards()[b.route_key("r0")]
    assert isinstance(of, HttpRouteShard)
    return replace(of, routes=(replace(of.routes[0], destination=Destination(name=name, settings=(b.setting("r0", "r1"),))),))


def test_what_an_older_answer_leads_to_stays_as_long_as_that_is_shown() -> None:
    """Of a route whose server does not answer, or answers too late, the clusters that it was shown with are not taken away."""
    for late in ("httproute/default/r0/rule/0", "second"):
        world = World(server("Route"))
        (ask,) = world.asked
        good = world.reply(ask)
        world.reply = lambda ask: None
        for n, name in enumerate(dict.fromkeys((late, "last"))):
            world.store.apply(2 + n, b.encoded({b.route_key("r0"): led_to(name)}))
            (ask,) = world.store.asks() or (ask,)
        assert good is not None
        world.store.answer({ask: good._replace(stands_in=True)})
        assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "httproute/default/r0/rule/0"
        assert {"httproute/default/r0/rule/0", "last"} <= set(world.made(CLUSTER))
        assert world.made(ENDPOINT).keys() >= {"httproute/default/r0/rule/0"}
        world.store.apply(9, b.encoded({b.route_key("r1"): b.route("r1", host="h1.example.com", path="/other")}))
        assert "httproute/default/r0/rule/0" in world.made(CLUSTER), "others change, and this stays"
        world.store.answer({ask: Answer()})
        assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "last"
        assert set(world.made(CLUSTER)) == {"last", "httproute/default/r1/rule/0"}


def test_an_edit_taken_back_is_asked_about_again() -> None:
    """What stood in for an answer is no answer, whenever the same question comes."""
    for stand_in in (Answer(stands_in=True), Answer(withheld=True, stands_in=True), Answer(b"", stands_in=True)):
        world = World(server("Route"), content=b.gateway(2))
        world.reply = lambda ask, stand_in=stand_in: stand_in  # type: ignore[misc]
        world.put(shards())
        world.put({b.route_key("r0"): led_to("other")})
        asked = len(world.asked)
        world.put({b.route_key("r0"): shards()[b.route_key("r0")]})
        assert [a.resource for a in world.asked[asked:]] == [world.asked[0].resource]
        assert world.asked[asked].digest == world.asked[0].digest


def test_of_a_route_that_is_gone_nothing_is_held_back() -> None:
    world = World(server("Route"))
    world.reply = lambda ask: None
    world.store.apply(2, b.encoded({b.route_key("r0"): led_to("other")}))
    (ask,) = world.store.asks()
    world.store.answer({ask: Answer(stands_in=True)})
    world.store.apply(3, {b.route_key("r0"): None})
    assert set(world.made(CLUSTER)) == {"httproute/default/r1/rule/0"}


def test_answers_that_envoy_would_refuse_are_refused_here() -> None:
    world = World(server("Route", TRANSLATION))
    ask = world.asked[0]
    of = server("Route", TRANSLATION)

    def refusal(response: bytes, about: Ask = ask) -> str:
        try:
            judged(of, about, response)
        except Refused as e:
            return str(e)
        return ""

    assert "cannot be read" in refusal(b"\x0a\xff")
    assert "cannot be read" in refusal(b"\x0a\x02\xff\xff")
    assert "Route abc" in refusal(_response({"name": "abc"}))
    assert refusal(_response({"match": {"prefix": "/"}, "direct_response": {"status": 200}})) == "", "routes' names mean nothing to Envoy"
    name = "httproute/default/r0/rule/0/match/0/h0_example_com"
    assert "regex" in refusal(_response({"name": name, "match": {"safe_regex": {"regex": "("}}, "direct_response": {"status": 200}}))
    translation = Ask("ext", TRANSLATION, "", "")
    assert "without a name" in refusal(b"\x0a\x00", translation)
    twice = b"\x0a\x03\x0a\x01x"
    assert "twice" in refusal(twice * 2, translation)
    assert judged(of, ask, b"") == Answer(None)


def _response(route: dict[str, Any]) -> bytes:
    made: bytes = build("envoygateway.extension.PostRouteModifyResponse", {"route": route}).SerializeToString()
    return made


def test_answers_that_nobody_asks_for_any_more_are_forgotten() -> None:
    world = World(server("VirtualHost"), content=shards(1, filtered=()))
    for n in range(200):
        world.put({b.route_key("r0"): b.route("r0", host="h0.example.com", path=f"/{n}")})
    assert len(world.store._answered) < 140


@pytest.mark.parametrize("seed", range(25))
def test_edits_and_answers_in_any_order_end_where_a_fresh_start_does(seed: int) -> None:
    random = Random(seed)
    hooks = ("Route", "VirtualHost", "HTTPListener", "Cluster", "Endpoints", TRANSLATION)
    servers = (server(*random.sample(hooks, 4), name="a"), server(*hooks, name="b", includes=("cluster", "route", "listener")))
    store = GatewayStore(b.opened, extensions=servers)
    reply = replies(servers, store)
    content = dict(shards(4, filtered=(0, 1)))
    failed: set[Ask] = set()
    store.apply(1, b.encoded(content))
    for version in range(2, 12):
        name = f"r{random.randrange(5)}"
        changed: dict[str, Any] = {}
        match random.randrange(4):
            case 0:
                changed = {b.route_key(name): None, b.backend_key(name): None}
            case 1:
                changed = {b.backend_key(name): b.backend((f"10.0.0.{version}", 80))}
            case 2:
                changed = {FILTER: thing("Filter", "one", header=f"v{version}")}
            case _:
                made = shards(5, filtered=tuple(random.sample(range(5), 2)))
                changed = {key: made[key] for key in (b.route_key(name), b.backend_key(name))}
        content = {key: row for key, row in {**content, **changed}.items() if row is not None}
        gone = {key: None for key, row in changed.items() if row is None}
        store.apply(version, {**b.encoded({k: r for k, r in changed.items() if r is not None}), **gone})
        for ask in random.sample(sorted(store.asks()), random.randrange(len(store.asks()) + 1)):
            if not store.asking(ask):
                continue
            answer = random.choice((Answer(withheld=True), reply(ask)))
            assert answer is not None
            failed |= {ask} if answer.withheld else set()
            store.answer({ask: answer})
    # in the end everybody answers, also what had no answer before
    while asks := store.asks() | {ask for ask in failed if store.asking(ask)}:
        failed.clear()
        for ask in sorted(asks):
            if store.asking(ask) and (answer := reply(ask)) is not None:
                store.answer({ask: answer})
    assert store.snapshot() == World(*servers, content=content).store.snapshot()
