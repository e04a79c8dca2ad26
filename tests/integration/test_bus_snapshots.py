"""The snapshot protocol on the real nats-server: only whole versions are seen, one writer closes them, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator

import pytest

from shared.bus import history
from shared.bus.connection import Bus
from shared.bus.direct import last
from shared.bus.errors import NoLongerWriter
from shared.bus.snapshot import SnapshotReader, SnapshotWriter, Version
from shared.bus.wire import EPOCH, Outgoing
from shared.core.refs import GatewayRef
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.conftest import Connect

GATEWAY = GatewayRef("default", "gw")
PREFIX = "ir.xds.default.gw."


@contextlib.asynccontextmanager
async def writing(bus: Bus, epoch: int, gateway: GatewayRef = GATEWAY) -> AsyncIterator[SnapshotWriter]:
    writer = SnapshotWriter(bus, gateway, epoch)
    await asyncio.wait_for(writer.open(), 15)
    try:
        yield writer
    finally:
        await writer.close()


class Shown:
    """What a consumer holds that does with the versions what it should."""

    def __init__(self, bus: Bus) -> None:
        self.reader = SnapshotReader(bus)
        self.state: dict[str, bytes] = {}
        self.version: Version | None = None

    async def next(self, deadline: float = 15) -> Version:
        version = await asyncio.wait_for(anext(self.reader), deadline)
        if version.full:
            self.state = {}
        for key, value in version.changed.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.version = version
        return version

    async def until_version(self, number: int) -> Version:
        while self.version is None or self.version.version < number:
            await self.next()
        return self.version


async def last_seq(bus: Bus) -> int:
    return int((await bus.api("STREAM.INFO.IR"))["state"]["last_seq"])


async def test_versions_are_whole_and_in_order(connect: Connect) -> None:
    shown = Shown(await connect())
    bus = await connect()
    async with writing(bus, 1) as writer:
        assert await writer.reconcile({"gateway": b"{}", "http.a": b"1"}, ["Gateway/default/gw@1"], "00-trace-span-01") == 1
        first = await shown.next()
        assert (first.version, first.full, first.causes, first.trace) == (1, True, ("Gateway/default/gw@1",), "00-trace-span-01")
        assert await writer.publish({"http.a": b"2", "http.b": b"3"}, ["HTTPRoute/default/r@5"]) == 2
        second = await shown.next()
        assert (dict(second.changed), second.full) == ({"http.a": b"2", "http.b": b"3"}, False)
        assert await writer.publish({"http.b": None}) == 3
        await shown.until_version(3)
        assert shown.state == {"gateway": b"{}", "http.a": b"2"}
        late = Shown(await connect())
        assert (await late.next()).full
        assert late.state == shown.state
        await late.reader.close()
        before = await last_seq(bus)
        assert await writer.publish({"http.a": b"2"}) == 3
        assert await last_seq(bus) == before
    await shown.reader.close()


async def test_what_is_no_shard_is_in_nobodys_way(connect: Connect) -> None:
    bus = await connect()
    shown = Shown(bus)
    stray = [Outgoing(s, b"x", {}) for s in ("ir.xds.a", "ir.xds.a.b", "ir.xds.a.b.commit", "ir.xds.a.b.c", "ir.other")]
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"1"})
        await shown.until_version(1)
        await bus.publish(stray)
        await writer.publish({"gateway": b"2"})
        await shown.until_version(2)
        late = Shown(await connect())
        await late.until_version(2)
        assert late.state == shown.state == {"gateway": b"2"}
        await late.reader.close()
    await shown.reader.close()


async def test_a_restart_without_a_change_publishes_nothing(connect: Connect) -> None:
    bus = await connect()
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"{}"})
    before = await last_seq(bus)
    async with writing(await connect(), 2) as writer:
        assert await writer.reconcile({"gateway": b"{}"}) == 1
    assert await last_seq(bus) == before


async def test_a_crash_between_shards_and_commit_is_never_seen(connect: Connect) -> None:
    bus = await connect()
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"{}", "http.a": b"1", "http.b": b"1"})
    half = [Outgoing(PREFIX + "http.a", b"2", {EPOCH: "1"}), Outgoing(PREFIX + "http.c", b"2", {EPOCH: "1"})]
    await bus.publish(half)
    reader = Shown(await connect())
    await reader.next()
    assert reader.state == {"gateway": b"{}", "http.a": b"1", "http.b": b"1"}
    async with writing(await connect(), 2) as writer:
        assert await writer.reconcile({"gateway": b"{}", "http.a": b"1", "http.b": b"1"}) == 1  # overwritten, so nothing to commit
        assert await writer.publish({"http.b": b"3"}) == 2
    await reader.until_version(2)
    assert reader.state == {"gateway": b"{}", "http.a": b"1", "http.b": b"3"}
    late = Shown(await connect())
    await late.next()
    assert late.state == reader.state
    await reader.reader.close()
    await late.reader.close()


async def test_two_writers_only_the_newer_closes_versions(connect: Connect) -> None:
    reader = Shown(await connect())
    async with writing(await connect(), 1) as old, writing(await connect(), 2) as new:
        await old.reconcile({"gateway": b"old"})
        await new.reconcile({"gateway": b"new"})
        with pytest.raises(NoLongerWriter):
            await old.publish({"gateway": b"stale"})
        with pytest.raises(NoLongerWriter):
            await asyncio.wait_for(SnapshotWriter(await connect(), GATEWAY, 1).open(), 10)
        await new.publish({"http.a": b"1"})
        while reader.state != {"gateway": b"new", "http.a": b"1"}:
            await reader.next()
    await reader.reader.close()


async def test_what_a_stale_writer_leaves_is_repaired(connect: Connect) -> None:
    """Shards of an older epoch, thrown in by somebody who fell asleep before his commit."""
    bus = await connect()
    live = Shown(await connect())
    async with writing(await connect(), 5) as writer:
        await writer.reconcile({"gateway": b"{}", "http.a": b"1"})
        await live.next()
        await bus.publish([Outgoing(PREFIX + "http.a", b"stale", {EPOCH: "4"}), Outgoing(PREFIX + "http.z", b"stale", {EPOCH: "4"})])

        async def repaired() -> bool:
            a, z = await last(bus, "IR", PREFIX + "http.a"), await last(bus, "IR", PREFIX + "http.z")
            return a is not None and a.value == b"1" and z is not None and z.deleted

        await until(repaired)
        assert await writer.publish({"http.b": b"2"}) == 2
        await live.until_version(2)
        late = Shown(await connect())
        await late.next()
        assert late.state == live.state == {"gateway": b"{}", "http.a": b"1", "http.b": b"2"}
        await late.reader.close()
    await live.reader.close()


async def test_a_stale_commit_is_overwritten(connect: Connect) -> None:
    """The newer writer had nothing to publish, so the older one's fence still fits: its version stands until it is repaired."""
    bus, other = await connect(), await connect()
    async with contextlib.AsyncExitStack() as writers:
        old = await writers.enter_async_context(writing(bus, 1))
        await old.reconcile({"gateway": b"{}"})
        new = await writers.enter_async_context(writing(other, 2))
        await new.reconcile({"gateway": b"{}"})
        assert await old.publish({"gateway": b"stale"}) == 2
        reader = Shown(await connect())
        while reader.state != {"gateway": b"{}"} or reader.version is None or reader.version.epoch != 2:
            await reader.next()
        assert reader.version.version == 3
        await reader.reader.close()


@pytest.mark.parametrize("wipe", [False, True], ids=["killed", "wiped"])
async def test_a_server_that_goes_and_comes_back(connect: Connect, nats_server: NatsServer, wipe: bool) -> None:
    bus = await connect()
    reader = Shown(await connect())
    async with writing(bus, 1) as writer:
        state = {f"http.l.{i}": b"1" for i in range(100)}
        await writer.reconcile(state)
        await reader.next()
        incarnation = reader.version.incarnation if reader.version else ""
        nats_server.kill()
        await until(lambda: not bus.connected)
        late = asyncio.create_task(writer.publish({"http.l.3": b"2", "http.l.4": None}))
        nats_server.restart(wipe=wipe)
        await asyncio.wait_for(late, 20)
        while reader.state.get("http.l.3") != b"2":
            version = await reader.next()
            assert set(version.changed) <= {"http.l.3", "http.l.4"}
        assert reader.state == {**{k: v for k, v in state.items() if k != "http.l.4"}, "http.l.3": b"2"}
        assert reader.version is not None
        assert (reader.version.incarnation == incarnation) is not wipe
    await reader.reader.close()


async def test_killed_again_and_again_during_edits(connect: Connect, nats_server: NatsServer) -> None:
    reader = Shown(await connect())
    bus = await connect()
    edits_wanted = 400
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"0"})

        async def edit() -> None:
            for i in range(1, edits_wanted):
                await writer.publish({"gateway": b"%d" % i, f"http.{i % 7}": b"%d" % i})

        edits = asyncio.create_task(edit())
        for _ in range(3):
            goal = writer.version + 5
            await until(functools.partial(lambda goal: writer.version > goal, goal))
            assert not edits.done()
            await asyncio.to_thread(nats_server.restart)
        await asyncio.wait_for(edits, 40)
        assert (await bus.session()).number >= 4
        while reader.state.get("gateway") != b"%d" % (edits_wanted - 1):
            version = await reader.next()
            i = int(reader.state["gateway"])
            assert i == 0 or reader.state[f"http.{i % 7}"] == b"%d" % i, version
    await reader.reader.close()


async def test_a_removed_gateway_is_told(connect: Connect) -> None:
    reader = Shown(await connect())
    bus = await connect()
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"{}"})
        await reader.next()
        await writer.remove()
        gone = await reader.next()
        assert (gone.removed, dict(gone.changed)) == (True, {"gateway": None})
        assert await history.gateways(bus) == []
        assert await history.collect(bus, 0) == 0
        assert await writer.reconcile({"gateway": b"again"}) == 3
        again = await reader.next()
        assert (again.removed, again.full, reader.state) == (False, True, {"gateway": b"again"})
    await reader.reader.close()


async def test_history_reads_old_versions_back(connect: Connect) -> None:
    bus = await connect()
    async with writing(bus, 1) as writer:
        await writer.reconcile({"gateway": b"{}", "http.a": b"1"})
        await writer.publish({"http.a": b"2"})
        await writer.publish({"http.a": None, "http.b": b"3"})
    assert [c.version for c in await history.commits_of(bus, GATEWAY)] == [1, 2, 3]
    assert await history.shards_at(bus, GATEWAY, 1) == {"gateway": b"{}", "http.a": b"1"}
    assert await history.shards_at(bus, GATEWAY, 2) == {"gateway": b"{}", "http.a": b"2"}
    assert await history.shards_at(bus, GATEWAY, 3) == {"gateway": b"{}", "http.b": b"3"}
    with pytest.raises(history.VersionGone):
        await history.shards_at(bus, GATEWAY, 9)
    assert await history.gateways(bus) == [GATEWAY]


async def test_ten_thousand_shards_are_read_back_whole(connect: Connect) -> None:
    state = {f"http.l.HTTPRoute.default.r{i}": b'{"i":%d}' % i for i in range(10_000)}
    bus = await connect()
    async with writing(bus, 1) as writer:
        await writer.reconcile(state)
        assert await writer.publish({"http.l.HTTPRoute.default.r7": b"{}"}) == 2
    # younger than the commit: more subjects than one direct get answers
    await bus.publish([Outgoing(PREFIX + f"http.l.HTTPRoute.default.r{i}", b"half", {EPOCH: "1"}) for i in range(8, 1308)])
    reader = Shown(await connect())
    await reader.next()
    assert reader.state == {**state, "http.l.HTTPRoute.default.r7": b"{}"}
    assert len(await history.shards_at(bus, GATEWAY, 1)) == 10_000
    await reader.reader.close()


async def test_a_shard_too_large_costs_that_shard(connect: Connect) -> None:
    reader = Shown(await connect())
    async with writing(await connect(), 1) as writer:
        await writer.reconcile({"gateway": b"{}", "http.a": b"1"})
        assert await writer.publish({"http.a": bytes(9_000_000), "http.b": bytes(9_000_000), "http.c": b"3"}) == 2
        await reader.until_version(2)
        assert reader.state == {"gateway": b"{}", "http.a": b"1", "http.c": b"3"}
    await reader.reader.close()
