"""Replicas of xds_server's asking half in one process, around a real NATS and a real extension server: for tests that break them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from services.xds_server.hooks.asker import Asker
from services.xds_server.hooks.client import Client
from services.xds_server.server import XdsServer
from services.xds_server.service import extension_servers
from services.xds_server.settings import XdsSettings
from shared.bus.connection import Bus
from shared.bus.settings import BusSettings
from shared.bus.snapshot import SnapshotReader, SnapshotWriter
from shared.core.refs import GatewayRef
from shared.core.sealing import Sealer
from shared.extension.contexts import ListenerContext, Translation, TranslationContext
from shared.extension.server import Extension, ExtensionServer
from shared.runtime.config import EnvoyGateway
from shared.testing.wait import until
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

GW = GatewayRef("default", "eg")
KEYS = Sealer([bytes(range(64))])


class Noting(Extension):
    """Marks every virtual host; `asked` are its questions. With `silent` it never answers, with `padding` by so many times 10 kB more."""

    def __init__(self, name: str = "ext") -> None:
        self.name = name
        self.asked: list[str] = []
        self.silent = False
        self.padding = 0

    async def virtual_host(self, host: Any) -> Any:
        match = host.routes[0].match
        path = match.path_separated_prefix or match.prefix
        self.asked.append(f"{host.name} {path}")
        if self.silent:
            await asyncio.Event().wait()
        added = host.response_headers_to_add.add()
        added.header.key, added.header.value = f"x-{self.name}", path
        for n in range(self.padding):
            host.metadata.filter_metadata["large"].fields[str(n)].string_value = random.randbytes(5000).hex()
        return host

    async def listener(self, listener: Any, context: ListenerContext) -> Any:
        listener.stat_prefix = self.name
        return listener

    async def endpoints(self, endpoints: Any) -> None:
        return None

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        self.asked.append("translate")
        if self.silent:
            await asyncio.Event().wait()
        return Translation([], resources.secrets, resources.listeners, resources.routes)


class Replica:
    """`stop` gives its leases back, `kill` leaves them as a dead process does."""

    def __init__(self, name: str, url: str, config: EnvoyGateway) -> None:
        self._name, self._url, self._config = name, url, config
        self._tasks: list[asyncio.Task[None]] = []
        self.asker: Asker
        self.server: XdsServer

    async def start(self) -> Replica:
        self._bus = await asyncio.wait_for(Bus.connect(BusSettings(urls=(self._url,)), service=self._name), 15)
        servers = extension_servers(self._config)
        by_name = {each.name: each for each in servers}
        self.server = XdsServer(XdsSettings(), b.opened, None, servers)
        clients = {m.label: Client(m, by_name[m.label], b.opened) for m in self._config.managers}
        self.asker = Asker(self._bus, KEYS, self._name, clients)
        self.server.use(self.asker)
        self._tasks = [asyncio.create_task(self.asker.run()), asyncio.create_task(self._follow())]
        return self

    async def _follow(self) -> None:
        reader = SnapshotReader(self._bus)
        try:
            async for version in reader:
                if version.removed:
                    self.server.remove(version.gateway)
                else:
                    self.server.update(version.gateway, version.version, version.incarnation, version.changed, version.full)
        finally:
            await reader.close()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._bus.close()

    async def kill(self) -> None:
        await self._bus.close()
        await self.stop()

    def asks(self, gateway: GatewayRef = GW) -> bool:
        """Whether it is this one's turn."""
        at = self.asker._gateways.get(gateway)
        return at is not None and at.turn.ours

    def shown(self, gateway: GatewayRef = GW) -> dict[tuple[str, str], bytes]:
        """What proxies get, byte for byte; {} before they get anything."""
        state = self.server._gateways.get(gateway)
        if state is None or not state.view.whole:
            return {}
        return {(url, name): r.any_bytes for url, of in state._store.snapshot().items() for name, r in of.items()}

    def marks(self, gateway: GatewayRef = GW, header: str = "x-ext") -> dict[str, str]:
        """Domain -> what the server said there ('' where it said nothing)."""
        out: dict[str, str] = {}
        for (url, _), data in self.shown(gateway).items():
            if url.endswith("RouteConfiguration"):
                made = to_json(decode("envoy.config.route.v3.RouteConfiguration", decode("google.protobuf.Any", data).value))
                for host in made.get("virtualHosts", ()):
                    said = {h["header"]["key"]: h["header"].get("value", "") for h in host.get("responseHeadersToAdd", ())}
                    out[host["domains"][0]] = said.get(header, "")
        return out

    def faults(self, gateway: GatewayRef = GW) -> dict[str, str]:
        """What is told of servers, by name."""
        state = self.server._gateways.get(gateway)
        return {name: " ".join(report.faults) for name, report in (state.faults if state is not None else {}).items()}


class Ground:
    """A writer of Gateways' IR, and replicas that read it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._writers: dict[GatewayRef, SnapshotWriter] = {}
        self._content: dict[GatewayRef, dict[str, bytes]] = {}
        self._stack = contextlib.AsyncExitStack()
        self.replicas: list[Replica] = []

    async def __aenter__(self) -> Ground:
        self._bus = await asyncio.wait_for(Bus.connect(BusSettings(urls=(self.url,)), service="writer"), 15)
        return self

    async def __aexit__(self, *_: object) -> None:
        for replica in self.replicas:
            await replica.stop()
        for writer in self._writers.values():
            await writer.close()
        await self._bus.close()

    async def put(self, routes: int = 2, path: str = "/", gateway: GatewayRef = GW) -> None:
        """A Gateway with so many routes, the first of which has this path."""
        writer = self._writers.get(gateway)
        if writer is None:
            writer = self._writers[gateway] = SnapshotWriter(self._bus, gateway, 1)
            await writer.open()
        shards = b.gateway(routes)
        shards[b.route_key("r0")] = b.route("r0", host="h0.example.com", path=path)
        await writer.reconcile({k: v for k, v in b.encoded(shards).items() if v is not None})

    async def remove(self, gateway: GatewayRef = GW) -> None:
        await self._writers[gateway].remove()

    async def replica(self, name: str, config: EnvoyGateway) -> Replica:
        made = await Replica(name, self.url, config).start()
        self.replicas.append(made)
        return made

    async def agree(self, *replicas: Replica, path: str, deadline: float = 15, gateway: GatewayRef = GW) -> None:
        """Waits until they show the same, with the server's mark of that path."""

        def same() -> bool:
            first, *others = (each.shown(gateway) for each in replicas)
            return bool(first) and replicas[0].marks(gateway)["h0.example.com"] == path and all(each == first for each in others)

        try:
            await until(same, deadline)
        except AssertionError as e:
            told = [
                (each.marks(gateway), each.faults(gateway), each.asks(gateway), each.server._gateways[gateway].asks()) for each in replicas
            ]
            raise AssertionError(f"they do not agree: {told}") from e


@contextlib.asynccontextmanager
async def serving(extension: Extension, port: int) -> AsyncIterator[None]:
    async with ExtensionServer(extension, f"127.0.0.1:{port}"):
        yield
