"""xds_server's gRPC door with plain clients: many streams, bad requests, streams that end of age, draining."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.xds_server.render.types import CLUSTER
from services.xds_server.server import SERVICE, XdsServer
from services.xds_server.settings import XdsSettings
from shared.core.accounts import Account, CannotTell, Prove
from shared.core.refs import GatewayRef
from shared.ir.base import encode
from shared.ir.status import XdsStatus
from shared.testing.wait import until
from shared.xds.message import Fields, build, decode
from tests.unit.xds_server import builders as b

EG = GatewayRef("default", "eg")
EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]


class Client:
    """One delta stream that acknowledges all it gets."""

    def __init__(self, channel: Any, node: Fields | None, token: str | None = None) -> None:
        metadata = (("authorization", f"Bearer {token}"),) if token is not None else None
        self._call = channel.stream_stream(f"/{SERVICE}/DeltaAggregatedResources")(metadata=metadata)
        self._node = node
        self.clusters: set[str] = set()
        self.ended: str | None = None

    async def _say(self, fields: Fields) -> None:
        await self._call.write(build("envoy.service.discovery.v3.DeltaDiscoveryRequest", fields).SerializeToString())

    async def run(self) -> None:
        try:
            await self._say({"type_url": CLUSTER} | ({"node": self._node} if self._node is not None else {}))
            while (data := await self._call.read()) is not EOF:
                response = decode("envoy.service.discovery.v3.DeltaDiscoveryResponse", data)
                self.clusters |= {r.name for r in response.resources}
                self.clusters -= set(response.removed_resources)
                await self._say({"type_url": response.type_url, "response_nonce": response.nonce})
            self.ended = (await self._call.code()).name
        except grpc.aio.AioRpcError as e:
            self.ended = e.code().name


@contextlib.asynccontextmanager
async def serving(settings: XdsSettings | None = None, prove: Prove | None = None) -> AsyncIterator[tuple[XdsServer, int]]:
    server = XdsServer(settings or XdsSettings(), b.opened, prove)
    port = await server.start("127.0.0.1:0")
    try:
        yield server, port
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def clients(port: int, count: int) -> AsyncIterator[list[Client]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        made = [Client(channel, {"id": f"n{i}", "cluster": "default/eg"}) for i in range(count)]
        tasks = [asyncio.create_task(c.run()) for c in made]
        yield made
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def new_route(version: int) -> dict[str, bytes | None]:
    return {b.route_key("more"): encode(b.route("more", host=f"m{version}.example.com", backend="r0"))}


async def test_hundreds_of_streams_get_a_change_and_are_counted() -> None:
    async with serving() as (server, port):
        told: list[XdsStatus | None] = []
        server.on_status(lambda _, status: told.append(status))
        server.update(EG, 1, "i", b.encoded(b.gateway(3)), full=True)
        async with clients(port, 90) as some:
            await until(lambda: all(len(c.clusters) == 3 for c in some))
            server.update(EG, 2, "i", new_route(2), full=False)
            await until(lambda: all(len(c.clusters) == 4 for c in some))
            await until(lambda: bool(told) and told[-1] is not None and told[-1].proxies == {f"n{i}": 2 for i in range(90)})
            server.update(EG, 3, "i", {b.route_key("more"): None}, full=False)
            await until(lambda: all(len(c.clusters) == 3 for c in some))
        await until(lambda: server.streams == 0 and server.status(EG).proxies == {})


async def test_a_full_update_forgets_what_it_does_not_name() -> None:
    async with serving() as (server, port), clients(port, 1) as (client,):
        server.update(EG, 1, "i", b.encoded(b.gateway(3)), full=True)
        await until(lambda: len(client.clusters) == 3)
        server.update(EG, 1, "another incarnation", b.encoded(b.gateway(2)), full=True)
        await until(lambda: len(client.clusters) == 2)


async def test_gateways_do_not_see_each_other() -> None:
    async with serving() as (server, port), clients(port, 1) as (client,):
        server.update(GatewayRef("default", "other"), 1, "i", b.encoded(b.gateway(3)), full=True)
        await until(lambda: server.streams == 1)
        assert server.status(EG) == XdsStatus(version=0, proxies={"n0": 0})
        server.update(EG, 1, "i", b.encoded(b.gateway(1)), full=True)
        await until(lambda: len(client.clusters) == 1)


async def test_of_a_gateway_that_is_gone_nothing_is_told_any_more() -> None:
    told: dict[GatewayRef, XdsStatus | None] = {}
    async with serving() as (server, port):
        server.on_status(told.__setitem__)
        async with clients(port, 1) as (client,):
            server.update(EG, 1, "i", b.encoded(b.gateway(1)), full=True)
            await until(lambda: (told.get(EG) or XdsStatus()).proxies == {"n0": 1})
            server.remove(EG)
            await until(lambda: server.streams == 1 and (told.get(EG) or XdsStatus()).version == 0)
            assert client.ended is None, "its proxy keeps what it has"
        await until(lambda: told[EG] is None)


@pytest.mark.parametrize("node", [None, {"id": "n"}], ids=["no node", "no cluster"])
async def test_a_request_that_does_not_say_whose_it_is_is_refused(node: Fields | None) -> None:
    async with serving() as (_, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(channel, node)
        await client.run()
        assert client.ended == "INVALID_ARGUMENT"


async def test_streams_end_when_the_server_drains() -> None:
    async with serving() as (server, port), clients(port, 3) as some:
        server.update(EG, 1, "i", b.encoded(b.gateway(1)), full=True)
        await until(lambda: all(c.clusters for c in some))
        await server.stop(1)
        await until(lambda: all(c.ended is not None for c in some))
        assert server.streams == 0


async def test_streams_of_a_certain_age_end_so_that_proxies_spread_again() -> None:
    async with serving(XdsSettings(max_stream_age=0.3)) as (_, port), clients(port, 1) as (client,):
        await until(lambda: client.ended is not None, deadline=20)


async def test_proxies_that_prove_themselves_by_tokens_get_what_is_theirs() -> None:
    accounts = {"n0's": Account("default", "eg", "n0"), "elsewhere": Account("other", "eg", "n0")}
    away = True

    async def prove(token: str) -> Account | None:
        if away:
            raise CannotTell("nobody answers")
        return accounts.get(token)

    async with serving(prove=prove) as (server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        server.update(EG, 1, "i", b.encoded(b.gateway(3)), full=True)

        async def turned_away(token: str | None) -> str | None:
            client = Client(channel, {"id": "n0", "cluster": "default/eg"}, token)
            await client.run()
            assert client.clusters == set()
            return client.ended

        assert await turned_away("n0's") == "UNAVAILABLE"
        away = False
        assert await turned_away(None) == "UNAUTHENTICATED"
        assert await turned_away("forged") == "UNAUTHENTICATED"
        assert await turned_away("elsewhere") == "UNAUTHENTICATED"
        client = Client(channel, {"id": "n0", "cluster": "default/eg"}, "n0's")
        task = asyncio.create_task(client.run())
        await until(lambda: len(client.clusters) == 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
