"""The hook that sees a Gateway as a whole: it changes as one, and waits for the other hooks."""

from __future__ import annotations

from services.xds_server.gateway import GatewayState
from services.xds_server.hooks.plan import Answer
from services.xds_server.hooks.translation import PATIENCE
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.core.refs import GatewayRef
from shared.extension.contexts import Translation, TranslationContext
from shared.extension.protocol import TRANSLATION
from shared.extension.server import Extension
from shared.ir.base import encode
from shared.ir.gateway import GatewayShard
from shared.ir.shards import GATEWAY
from shared.ir.unstructured import UnstructuredRef
from shared.xds.message import build
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.client import LIMITS
from tests.unit.xds_server.hooks_world import (
    FILTER,
    World,
    headers,
    hosts,
    replies,
    server,
    shards,
    shown,
    thing,
)


def test_translation_sees_what_it_includes_and_replaces_it() -> None:
    world = World(server(TRANSLATION))
    assert "ext-extra" in world.made(CLUSTER)
    assert len(world.made(CLUSTER)) == 3

    class Away(Extension):
        async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
            assert [p.name for p in context.policies] == ["all"]
            assert not resources.listeners
            return Translation([c for c in resources.clusters if "/r1/" not in c.name], [], [], [])

    world = World(server(TRANSLATION), ext=Away())
    assert list(world.made(CLUSTER)) == ["httproute/default/r0/rule/0"]
    assert world.made(LISTENER), "what is not included stays"
    everything = World(server(TRANSLATION, includes=("cluster", "listener", "route", "secret")), ext=Clearing())
    assert everything.made(LISTENER) == everything.made(ROUTE) == everything.made(CLUSTER) == {}


class Clearing(Extension):
    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        assert len(resources.listeners) == 1
        assert len(resources.routes) == 1
        return Translation([], [], [], [])


def test_a_gateway_under_translation_changes_as_a_whole_and_endpoints_at_once() -> None:
    world = World(server(TRANSLATION))
    before = world.store.snapshot()
    world.store.apply(2, b.encoded({b.route_key("r1"): b.route("r1", host="h1.example.com", path="/2")}))
    (first,) = world.store.asks()
    assert world.store.snapshot() == before
    moved = world.store.apply(3, b.encoded({b.backend_key("r1"): b.backend(("10.0.0.7", 1))}))
    assert list(moved) == [ENDPOINT]
    world.store.apply(4, b.encoded({b.route_key("r0"): b.route("r0", host="h0.example.com", path="/4")}))
    assert world.store.asks() == {first}, "the latest state waits for its turn"
    answer = world.reply(first)
    assert answer is not None
    changes = world.store.answer({first: answer})
    assert ROUTE in changes
    world.answer()
    assert sum("/4" in str(h) for h in hosts(world).values()) == 1


def test_a_translation_waits_for_the_other_hooks_but_not_for_ever() -> None:
    world = World(server("Route", TRANSLATION), content=b.gateway(2))
    world.store.apply(2, b.encoded(shards()))
    (route,) = world.store.asks()
    assert route.hook == "Route"
    for n in range(PATIENCE):
        world.store.apply(3 + n, b.encoded({b.route_key("r1"): b.route("r1", host="h1.example.com", path=f"/{n}")}))
    assert {ask.hook for ask in world.store.asks()} == {"Route", TRANSLATION}
    world.answer()
    assert headers(hosts(world)["h0.example.com"]["routes"][0]) == {"x-ext": "h0.example.com,a"}


def test_who_does_not_ask_looks_for_the_latest_state() -> None:
    world = World(server(TRANSLATION))
    world.store.apply(2, b.encoded({b.route_key("r2"): b.route("r2", host="h2.example.com")}))
    (first,) = world.store.asks()
    world.store.renew()
    assert world.store.asks() == {first}, "there is nothing later"
    world.store.apply(3, {b.route_key("r0"): None})
    assert world.store.asks() == {first}
    world.store.renew()
    (second,) = world.store.asks()
    assert second.digest != first.digest
    assert not world.store.asking(first)


def test_the_last_good_translation_stands_in_after_a_restart_and_the_question_stays() -> None:
    servers = (server(TRANSLATION, name="a"), server(TRANSLATION, name="b"))
    store = GatewayStore(b.opened, extensions=servers)
    reply = replies(servers, store)
    store.apply(1, b.encoded(shards()))
    (before,) = store.asks()
    kept = reply(before)
    assert kept is not None

    # the first server is away, and of what it gave before something has changed since
    store = GatewayStore(b.opened, extensions=servers)
    reply = replies(servers, store)
    store.apply(2, b.encoded(shards(3)))
    (first,) = store.asks()
    assert first.digest != before.digest
    store.answer({first: Answer(kept.body, withheld=True)})
    (second,) = store.asks()
    assert second.server == "b"
    found = reply(second)
    assert found is not None
    store.answer({second: found})
    assert {"a-extra", "b-extra"} <= set(shown(store, CLUSTER))
    assert "httproute/default/r2/rule/0" not in shown(store, CLUSTER)
    assert store.asks() == {first}, "this was never answered"
    store.answer({first: Answer(kept.body, withheld=True)})
    assert store.asks() == {first}
    assert b"r2" in store.request_of(first)


def test_a_gateway_is_rendered_once_its_routes_have_their_first_answers() -> None:
    of = server("Route", TRANSLATION)
    state = GatewayState(GatewayRef("default", "eg"), b.opened, LIMITS, extensions=(of,))
    assert state.rendered, "there is nothing to render"
    state.update(1, "i", {k: v for k, v in b.encoded(shards()).items() if v is not None}, True)
    assert not state.rendered
    (route,) = state.asks()
    state.answer({route: Answer()})
    assert state.rendered
    assert {ask.hook for ask in state.asks()} == {TRANSLATION}
    state.update(2, "i", b.encoded({FILTER: thing("Filter", "one", header="b")}), False)
    assert state.rendered, "what is counted is known from before"


def test_the_systems_trust_store_is_nobodys_to_change() -> None:
    class Thief(Extension):
        async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
            own = build("envoy.extensions.transport_sockets.tls.v3.Secret", {"name": "system_ca_certificates"})
            return resources._replace(secrets=[own])

    world = World(server(TRANSLATION), ext=Thief())
    assert "system_ca_certificates" not in world.made(SECRET)


def test_a_gateway_shard_of_another_kind_still_reads() -> None:
    shard = GatewayShard(http_listeners=(b.LISTENER,), extension_server_policies=(UnstructuredRef(ref="extension.gone.Kind.ns.name"),))
    world = World(server(TRANSLATION), content={**b.gateway(1), GATEWAY: shard})
    assert world.made(CLUSTER), "an object that nobody has sent is left out"
    assert encode(shard)
