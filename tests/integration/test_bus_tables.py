"""Last-value tables on the real nats-server: differences only, and nothing is lost when NATS is killed or wiped."""

from __future__ import annotations

import asyncio

import pytest

from shared.bus.errors import NoLongerWriter
from shared.bus.resources import ResourceReader, ResourceWriter
from shared.bus.table import TableBatch, TableReader, TableWriter, read_all
from shared.bus.wire import Entry, Outgoing
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.conftest import Connect

ONE = "resources.-.Service.default.one"


async def following(reader: TableReader) -> TableBatch:
    return await asyncio.wait_for(anext(reader), 15)


def values(batch: TableBatch) -> dict[str, bytes | None]:
    return {k: e.value if e else None for k, e in batch.changes.items()}


async def test_a_table_carries_differences_only(connect: Connect) -> None:
    bus = await connect()
    async with TableWriter(bus, "facts.jwks") as writer:
        assert await writer.put({"facts.jwks.a": b"1", "facts.jwks.b": b"2"}) == 2
        assert await writer.put({"facts.jwks.a": b"1"}) == 0
        reader = TableReader(await connect(), ["facts.>"])
        first = await following(reader)
        assert values(first) == {"facts.jwks.a": b"1", "facts.jwks.b": b"2"}
        assert first.reset
        assert await writer.replace({"facts.jwks.b": b"3"}) == 2
        seen: dict[str, bytes | None] = {}
        while len(seen) < 2:
            seen |= values(await following(reader))
        assert seen == {"facts.jwks.a": None, "facts.jwks.b": b"3"}
        await reader.close()


async def test_an_empty_table_is_told_at_once(connect: Connect) -> None:
    reader = TableReader(await connect(), ["wants.>"])
    batch = await following(reader)
    assert (batch.changes, batch.caught_up) == ({}, True)
    await reader.close()


async def test_a_new_writer_with_the_same_content_publishes_nothing(connect: Connect) -> None:
    async with TableWriter(await connect(), "status.infra", 1) as writer:
        await writer.put({"status.infra.default.gw": b"{}"})
    async with TableWriter(await connect(), "status.infra", 2) as writer:
        assert await writer.replace({"status.infra.default.gw": b"{}"}) == 0


@pytest.mark.parametrize("wipe", [False, True], ids=["killed", "wiped"])
async def test_a_writer_and_a_reader_outlive_the_server(connect: Connect, nats_server: NatsServer, wipe: bool) -> None:
    bus = await connect()
    other = await connect()
    async with TableWriter(bus, "facts.x") as writer:
        await writer.put({f"facts.x.{i}": b"%d" % i for i in range(50)})
        reader = TableReader(other, ["facts.x.>"])
        assert len((await following(reader)).changes) == 50
        nats_server.kill()
        await until(lambda: not bus.connected)
        late = asyncio.create_task(writer.put({"facts.x.7": b"late", "facts.x.8": None}))
        nats_server.restart(wipe=wipe)
        assert await asyncio.wait_for(late, 20) >= 2 - wipe
        seen: dict[str, bytes | None] = {}
        while seen.get("facts.x.7") != b"late" or (not wipe and "facts.x.8" not in seen):
            seen |= values(await following(reader))
        assert len(seen) == 2 - wipe
        again = TableReader(await connect(), ["facts.x.>"])
        assert len((await following(again)).changes) >= 49
        await again.close()
        await reader.close()


async def test_a_wiped_server_is_refilled_unasked(connect: Connect, nats_server: NatsServer) -> None:
    bus = await connect()
    async with TableWriter(bus, "facts.x") as writer:
        await writer.put({"facts.x.a": b"1"})
        nats_server.restart(wipe=True)
        reader = TableReader(await connect(), ["facts.x.>"])
        seen: dict[str, bytes | None] = {}
        while not seen:
            seen |= values(await following(reader))
        assert seen == {"facts.x.a": b"1"}
        await reader.close()


async def test_values_with_a_ttl_are_refreshed_and_expire_with_their_writer(connect: Connect) -> None:
    bus = await connect()
    writer = TableWriter(bus, "status.xds", ttl=2)
    await writer.open()
    reader = TableReader(await connect(), ["status.xds.>"])
    await following(reader)
    await writer.put({"status.xds.ns.gw.r1": b"{}"})
    assert values(await following(reader)) == {"status.xds.ns.gw.r1": b"{}"}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(reader), 4)  # refreshed: nothing changes for longer than the TTL
    await writer.close()
    assert values(await following(reader)) == {"status.xds.ns.gw.r1": None}
    await reader.close()


async def test_resources_come_only_when_their_list_is_closed(connect: Connect) -> None:
    reader = ResourceReader(await connect())
    first = asyncio.create_task(anext(reader))
    async with ResourceWriter(await connect(), 1) as writer:
        await writer.replace({"resources.-.Service.default.a": b"{}", "resources.-.Service.default.b": b"{}"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(first), 0.5)
        await writer.sync(1, ["/Service"], 2)
        batch = await asyncio.wait_for(first, 10)
        assert set(batch.changes) == {"resources.-.Service.default.a", "resources.-.Service.default.b"}
        await writer.put({"resources.-.Service.default.b": None})
        assert values(await following(reader)) == {"resources.-.Service.default.b": None}
        late = ResourceReader(await connect())
        assert set((await following(late)).changes) == {"resources.-.Service.default.a"}
        await late.close()
    async with ResourceWriter(await connect(), 2) as writer:
        assert await writer.replace({"resources.-.Service.default.a": b"{}"}) == 0
        await writer.sync(2, ["/Service"], 1)
    await reader.close()


async def test_a_wiped_server_never_reads_as_an_empty_list(connect: Connect, nats_server: NatsServer) -> None:
    bus = await connect()
    reader = ResourceReader(await connect())
    async with ResourceWriter(bus, 1) as writer:
        await writer.replace({f"resources.-.Service.default.s{i}": b"{}" for i in range(20)})
        await writer.sync(1, ["/Service"])
        assert len((await following(reader)).changes) == 20
    nats_server.restart(wipe=True)
    waiting = asyncio.create_task(anext(reader))
    await until(lambda: bus.connected)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 1)
    async with ResourceWriter(bus, 2) as writer:
        await writer.replace({f"resources.-.Service.default.s{i}": b"{}" for i in range(19)})
        await writer.sync(2, ["/Service"])
        assert values(await asyncio.wait_for(waiting, 10)) == {"resources.-.Service.default.s19": None}
    await reader.close()


async def test_an_older_epoch_is_overwritten_and_a_newer_one_ends_the_writer(connect: Connect) -> None:
    reader = TableReader(await connect(), ["resources.>"])
    old = TableWriter(await connect(), "resources", 1, exclusive=True)
    new = TableWriter(await connect(), "resources", 2, exclusive=True)
    await old.open()
    await old.put({"resources.a": b"old"})
    await new.open()
    await new.replace({"resources.a": b"new"})
    await until(old.superseded.is_set)
    with pytest.raises(NoLongerWriter):
        await old.put({"resources.a": b"stale"})
    stale = TableWriter(await connect(), "resources", 1)
    await stale.open()
    await stale.put({"resources.a": b"stale", "resources.b": b"stale"})
    seen: dict[str, bytes | None] = {}

    async def repaired() -> bool:
        seen.update(values(await following(reader)))
        return seen.get("resources.a") == b"new" and not seen.get("resources.b")

    await until(repaired)
    for writer in (old, new, stale):
        await writer.close()
    await reader.close()


async def test_strangers_subjects_are_deleted_and_nobody_stumbles_over_them(connect: Connect) -> None:
    bus = await connect()
    strange = ("resources.x", "resources.-.Foo.default.ghost", "resources.a.b.c.d.e")
    async with ResourceWriter(bus, 7) as writer:
        await writer.replace({ONE: b"1"})
        await writer.sync(7, ["/Service"])
        reader = ResourceReader(await connect())
        assert set((await asyncio.wait_for(anext(reader), 10)).changes) == {ONE}
        await (await connect()).publish([Outgoing(s, b"x", {}) for s in strange])
        await writer.put({ONE: b"2"})
        seen: dict[str, Entry | None] = {}
        while ONE not in seen:
            seen |= (await asyncio.wait_for(anext(reader), 10)).changes
        assert not seen.keys() & {"resources.x", "resources.a.b.c.d.e"}

        async def clean() -> bool:
            found = await read_all(bus, "RESOURCES", ["resources.>"])
            return {s for s, e in found.items() if not e.deleted} == {ONE, "resources.sync"}

        await until(clean)
        await writer.put({ONE: b"3"})
        await reader.close()
