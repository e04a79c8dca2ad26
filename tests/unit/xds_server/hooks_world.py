"""A store whose extension servers say what they were told: no network, answers are given by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from services.xds_server.hooks.judge import judged
from services.xds_server.hooks.plan import Answer, Ask, Server
from services.xds_server.render.types import MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.core.refs import ObjectRef
from shared.extension.contexts import ClusterContext, ListenerContext, RouteContext, Translation, TranslationContext
from shared.extension.server import Extension, handle
from shared.ir.http import HttpRouteShard
from shared.ir.shards import GATEWAY, extension_key
from shared.ir.unstructured import ExtensionShard, UnstructuredRef
from shared.xds.message import build, decode, to_json
from tests.unit.xds_server import builders as b

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
