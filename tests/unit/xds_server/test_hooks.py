"""What extension servers are asked, and what becomes of their answers: no network, answers are given by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from services.xds_server.gateway import GatewayState
from services.xds_server.hooks.judge import Refused, judged
from services.xds_server.hooks.plan import Answer, Ask, Server
from services.xds_server.hooks.translation import PATIENCE
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.core.refs import GatewayRef, ObjectRef
from shared.extension.contexts import ClusterContext, ListenerContext, RouteContext, Translation, TranslationContext
from shared.extension.protocol import TRANSLATION
from shared.extension.server import Extension, handle
from shared.ir.base import encode
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpRouteShard
from shared.ir.shards import GATEWAY, extension_key
from shared.ir.unstructured import ExtensionShard, UnstructuredRef
from shared.xds.message import build, decode, to_json
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.client import LIMITS

FILTER = extension_key(ObjectRef("example.io", "Filter", "default", "one"))
POLICY = extension_key(ObjectRef("example.io", "Policy", "default", "all"))
KINDS = frozenset({("example.io", "Filter")})
POLICIES = frozenset({("example.io", "Policy")})


def server(*hooks: str, name: str = "ext", includes: tuple[str, ...] = ("cluster", "secret"), **more: Any) -> Server:
    return Server(name, frozenset(hooks), includes=frozenset(includes), resources=KINDS, policies=POLICIES, **more)


def thing(kind: str, name: str, **spec: Any) -> ExtensionShard:
    return ExtensionShard(object={"apiVersion": "example.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})


def shards(routes: int = 2, *, filtered: tuple[int, ...] = (0,)) -> b.Shards:
    made = b.gateway(routes)
    for i in filtered:
        of = made[b.route_key(f"r{i}")]
        assert isinstance(of, HttpRouteShard)
        made[b.route_key(f"r{i}")] = replace(of, routes=tuple(replace(r, extension_refs=(UnstructuredRef(ref=FILTER),)) for r in of.routes))
    made[FILTER] = thing("Filter", "one", header="a")
    made[POLICY] = thing("Policy", "all")
    head, listener = made[GATEWAY], made[b.LISTENER]
    refs = (UnstructuredRef(ref=POLICY),)
    made[GATEWAY] = replace(head, extension_server_policies=refs)
    made[b.LISTENER] = replace(listener, extension_refs=refs)
    return made


class Echo(Extension):
    """Says in the resource what it was told."""

    def __init__(self, name: str = "ext") -> None:
        self.name = name

    def _header(self, resource: Any, value: str) -> Any:
        added = resource.response_headers_to_add.add()
        added.header.key, added.header.value = f"x-{self.name}", value
        return resource

    async def route(self, route: Any, context: RouteContext) -> Any:
        return self._header(route, ",".join((*context.hostnames, *(o.spec["header"] for o in context.resources))))

    async def virtual_host(self, host: Any) -> Any:
        return self._header(host, str(len(host.routes)))

    async def listener(self, listener: Any, context: ListenerContext) -> Any:
        listener.stat_prefix = f"{listener.stat_prefix}{self.name}:{','.join(p.name for p in context.policies)}"
        return listener

    async def cluster(self, cluster: Any, context: ClusterContext) -> Any:
        cluster.alt_stat_name = ",".join(o.name for o in context.resources)
        return cluster

    async def endpoints(self, endpoints: Any) -> Any:
        endpoints.endpoints[0].locality.sub_zone = self.name
        return endpoints

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        extra = build("envoy.config.cluster.v3.Cluster", {"name": f"{self.name}-extra", "type": "STATIC"})
        return resources._replace(clusters=[*resources.clusters, extra])


Reply = Callable[[Ask], Answer | None]


def replies(servers: tuple[Server, ...], store: GatewayStore, **by_name: Extension) -> Reply:
    def reply(ask: Ask) -> Answer:
        of = next(s for s in servers if s.name == ask.server)
        found = asyncio.run(handle(by_name.get(ask.server, Echo(ask.server)), ask.hook, store.request_of(ask)))
        return judged(of, ask, found)

    return reply


class World:
    """A store whose questions are answered by Echoes, one after the other; `asked` are those."""

    def __init__(self, *servers: Server, content: b.Shards | None = None, **by_name: Extension) -> None:
        self.store = GatewayStore(b.opened, extensions=servers)
        self.reply = replies(servers, self.store, **by_name)
        self.asked: list[Ask] = []
        self.version = 0
        self.put(content if content is not None else shards())

    def put(self, content: b.Shards, **gone: None) -> None:
        self.version += 1
        self.store.apply(self.version, {**b.encoded(content), **gone})
        self.answer()

    def answer(self) -> None:
        while asks := sorted(self.store.asks()):
            self.asked += asks
            self.store.answer({ask: found for ask in asks if (found := self.reply(ask)) is not None})

    def made(self, url: str) -> dict[str, dict[str, Any]]:
        return shown(self.store, url)

    def since(self, change: Callable[[], None]) -> list[str]:
        before = len(self.asked)
        change()
        return [f"{a.server} {a.hook} {a.resource}" for a in self.asked[before:]]


def shown(store: GatewayStore, url: str) -> dict[str, dict[str, Any]]:
    found = store.snapshot().get(url, {})
    return {n: to_json(decode(MESSAGES[url], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in found.items()}


def hosts(world: World) -> dict[str, dict[str, Any]]:
    (config,) = world.made(ROUTE).values()
    return {host["domains"][0]: host for host in config["virtualHosts"]}


def headers(of: dict[str, Any]) -> dict[str, str]:
    return {h["header"]["key"]: h["header"]["value"] for h in of.get("responseHeadersToAdd", ())}


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


def test_a_custom_backend_is_a_cluster_without_endpoints_for_its_server_to_fill() -> None:
    content = shards()
    of = content[b.route_key("r0")]
    assert isinstance(of, HttpRouteShard)
    custom = DestinationSetting(name="s", weight=1, is_custom_backend=True)
    content[b.route_key("r0")] = replace(of, routes=(replace(of.routes[0], destination=Destination(name="c", settings=(custom,))),))
    world = World(server("Cluster"), content=content)
    assert world.made(CLUSTER)["c"]["altStatName"] == "one"
    assert hosts(world)["h0.example.com"]["routes"][0]["route"]["cluster"] == "c"


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


def test_a_gateway_shard_of_another_kind_still_reads() -> None:
    shard = GatewayShard(http_listeners=(b.LISTENER,), extension_server_policies=(UnstructuredRef(ref="extension.gone.Kind.ns.name"),))
    world = World(server(TRANSLATION), content={**b.gateway(1), GATEWAY: shard})
    assert world.made(CLUSTER), "an object that nobody has sent is left out"
    assert encode(shard)


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
