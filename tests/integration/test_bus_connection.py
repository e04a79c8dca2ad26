"""Sessions on the real nats-server: absent at start, credentials, TLS, streams deleted underneath, the lease, the tap."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from services.cli.certgen import generate
from shared.bus.connection import Bus
from shared.bus.errors import BusClosed
from shared.bus.lease import Lease
from shared.bus.settings import BusSettings, BusTls
from shared.bus.table import TableReader, TableWriter
from shared.bus.tap import tap
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.conftest import Connect


async def test_a_server_absent_at_start_is_waited_for(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    url = server.reserve()
    connecting = asyncio.create_task(Bus.connect(BusSettings(urls=(url,)), service="test"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(connecting), 0.5)
    server.start()
    bus = await asyncio.wait_for(connecting, 10)
    assert bus.connected
    await bus.close()
    server.kill()
    with pytest.raises(BusClosed):
        await bus.session()


async def test_giving_up_is_only_by_cancelling(tmp_path: Path) -> None:
    url = NatsServer(tmp_path).reserve()
    connecting = asyncio.create_task(Bus.connect(BusSettings(urls=(url,)), service="test"))
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


async def test_reconnect_is_told_and_streams_keep_their_incarnation(connect: Connect, nats_server: NatsServer) -> None:
    bus = await connect()
    again = asyncio.Event()
    bus.on_reconnect(again.set)
    before = (await bus.session()).incarnations
    nats_server.restart()
    await asyncio.wait_for(again.wait(), 10)
    assert (await bus.session()).incarnations == before
    nats_server.restart(wipe=True)
    after = (await asyncio.wait_for(bus.session(after=2), 10)).incarnations
    assert not set(after.values()) & set(before.values())


async def test_a_server_that_hangs_is_noticed_by_nobody_who_does_not_wait(connect: Connect, nats_server: NatsServer) -> None:
    bus = await connect()
    async with TableWriter(bus, "facts.x") as writer:
        nats_server.pause()
        late = asyncio.create_task(writer.put({"facts.x.a": b"1"}))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(late), 0.3)
        nats_server.resume()
        await asyncio.wait_for(late, 20)


async def test_a_stream_deleted_underneath_is_made_again_and_refilled(connect: Connect) -> None:
    bus, other = await connect(), await connect()
    async with TableWriter(bus, "facts.x") as writer:
        await writer.put({"facts.x.a": b"1"})
        reader = TableReader(other, ["facts.>"])
        await anext(reader)
        await (await connect()).api("STREAM.DELETE.FACTS")
        await asyncio.wait_for(writer.put({"facts.x.b": b"2"}), 20)
        seen: set[str] = set()
        while "facts.x.b" not in seen:
            seen |= (await asyncio.wait_for(anext(reader), 20)).changes.keys()
        fresh = TableReader(bus, ["facts.>"])
        assert set((await asyncio.wait_for(anext(fresh), 10)).changes) == {"facts.x.a", "facts.x.b"}
        await fresh.close()
        await reader.close()


async def test_password_and_mutual_tls(tmp_path: Path) -> None:
    certs = tmp_path / "certs"
    generate(certs)
    ca, cert, key = (str(certs / "nats" / f) for f in ("ca.crt", "tls.crt", "tls.key"))
    server = NatsServer(tmp_path / "nats", user="headgate", password="pass", tls=(ca, cert, key)).start()
    password = tmp_path / "password"
    password.write_text("pass\n")
    urls = (server.url.replace("nats:", "tls:"),)
    good = BusSettings(urls=urls, user="headgate", password_file=str(password), tls=BusTls(ca=ca, cert=cert, key=key))
    bus = await asyncio.wait_for(Bus.connect(good, service="test"), 10)
    await bus.close()
    for bad in (BusSettings(urls=urls, user="headgate", password_file=str(password), tls=BusTls(ca=ca)), BusSettings(urls=(server.url,))):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Bus.connect(bad, service="test"), 1.5)
    server.kill()


async def test_a_lease_has_one_holder_and_goes_on_when_given_back(connect: Connect) -> None:
    one, two = Lease(await connect(), "writer", ttl=2), Lease(await connect(), "writer", ttl=2)
    first = await asyncio.wait_for(one.acquire(), 10)
    waiting = asyncio.create_task(two.acquire())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 3)  # renewed: longer than its TTL
    await one.release()
    assert await asyncio.wait_for(waiting, 2) > first
    await two.release()


async def test_a_dead_holders_lease_is_taken_over_in_seconds(connect: Connect) -> None:
    dead_bus = await connect()
    dead, heir = Lease(dead_bus, "writer", ttl=1), Lease(await connect(), "writer", ttl=1)
    first = await dead.acquire()
    await dead_bus.close()
    began = time.monotonic()
    assert await asyncio.wait_for(heir.acquire(), 10) > first
    assert time.monotonic() - began < 3
    await dead.release()
    await heir.release()


async def test_a_namesake_waits_while_the_holder_lives_and_not_long_after(connect: Connect) -> None:
    bus = await connect()
    holder, namesake = Lease(bus, "writer", "same", ttl=1), Lease(await connect(), "writer", "same", ttl=1)
    first = await holder.acquire()
    waiting = asyncio.create_task(namesake.acquire())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 2)
    assert not holder.lost.is_set()
    await bus.close()
    assert await asyncio.wait_for(waiting, 2) > first
    await holder.release()
    await namesake.release()


async def test_a_holder_whose_term_ended_otherwise_does_not_stand_in_its_own_way(connect: Connect) -> None:
    """A newer writer may be met before the lease says that it was lost: renewals of the old term end with it."""
    bus = await connect()
    lease = Lease(bus, "writer", ttl=1)
    first = await lease.acquire()
    second = await asyncio.wait_for(lease.acquire(), 10)
    assert second > first
    other = asyncio.create_task(Lease(await connect(), "writer", ttl=1).acquire())
    done, _ = await asyncio.wait([other, asyncio.create_task(lease.lost.wait())], timeout=3, return_when=asyncio.FIRST_COMPLETED)
    assert not done, "it is renewed, and by one"
    await lease.release()
    await asyncio.wait_for(other, 10)


async def test_a_holder_that_slept_learns_that_it_lost(connect: Connect) -> None:
    asleep, heir = Lease(await connect(), "writer", ttl=1), Lease(await connect(), "writer", "heir", ttl=1)
    await asleep.acquire()
    assert asleep._task is not None
    asleep._task.cancel()  # its renewals stop, as in a process that hangs
    await heir.acquire()
    asleep._task = asyncio.create_task(asleep._renew())
    await asyncio.wait_for(asleep.lost.wait(), 5)
    await asleep.release()
    await heir.release()
    assert not heir.lost.is_set()


@pytest.mark.parametrize("wipe", [False, True], ids=["killed", "wiped"])
async def test_an_outage_does_not_lose_the_lease(connect: Connect, nats_server: NatsServer, wipe: bool) -> None:
    bus = await connect()
    lease = Lease(bus, "writer", ttl=1)
    epoch = await lease.acquire()
    nats_server.restart(wipe=wipe)
    other = Lease(await connect(), "writer", ttl=1)
    waiting = asyncio.create_task(other.acquire())
    done, _ = await asyncio.wait([waiting, asyncio.create_task(lease.lost.wait())], timeout=3, return_when=asyncio.FIRST_COMPLETED)
    if not wipe:
        assert not done
        await lease.release()
    assert await asyncio.wait_for(waiting, 10) > epoch
    for each in (lease, other):
        await each.release()


async def test_tap_shows_last_values_then_what_goes_by(connect: Connect) -> None:
    async with TableWriter(await connect(), "facts.x") as writer:
        await writer.put({"facts.x.a": b"1"})
        tapped = tap(await connect(), "facts.>", last_values=True)
        first = await asyncio.wait_for(anext(tapped), 10)
        assert (first.subject, first.value, first.live) == ("facts.x.a", b"1", False)
        await writer.put({"facts.x.b": b"2"}, {"traceparent": "00-t-s-01"})
        second = await asyncio.wait_for(anext(tapped), 10)
        assert (second.subject, second.headers["traceparent"], second.live) == ("facts.x.b", "00-t-s-01", True)
        await until(lambda: True)
        await tapped.close()


async def test_a_tap_on_everything_shows_each_message_once_however_many_read_it(connect: Connect) -> None:
    readers = [TableReader(await connect(), ["facts.>"]) for _ in range(2)]
    async with TableWriter(await connect(), "facts.x") as writer:
        await writer.put({"facts.x.a": b"1"})
        for reader in readers:
            await asyncio.wait_for(anext(reader), 10)
        tapped = tap(await connect(), ">", last_values=True)
        seen = [b""]
        while seen[-1] != b"1":
            message = await asyncio.wait_for(anext(tapped), 10)
            seen += [message.value] if message.subject.startswith("facts.") else []
        await writer.put({"facts.x.a": b"2"})
        for reader in readers:
            await asyncio.wait_for(anext(reader), 10)
        await writer.put({"facts.x.a": b"3"})
        while seen[-1] != b"3":
            message = await asyncio.wait_for(anext(tapped), 10)
            seen += [message.value] if message.subject.startswith("facts.") else []
        assert seen == [b"", b"1", b"2", b"3"]
        await tapped.close()
    for reader in readers:
        await reader.close()
