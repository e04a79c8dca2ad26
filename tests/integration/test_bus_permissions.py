"""A NATS that knows each service by its certificate and holds it to its row of the table: nothing that they need is missing, and
what belongs to somebody else is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from services.cli.certgen import LOOPBACK, Pair, Part, certificates
from shared.bus.blobs import Blobs
from shared.bus.connection import Bus
from shared.bus.errors import Unavailable
from shared.bus.lease import Lease
from shared.bus.permissions import OBJECT_STATUS, TABLE
from shared.bus.settings import BusSettings, BusTls
from shared.bus.table import TableWriter, read_all
from shared.bus.wire import STREAMS, Outgoing, stream_of
from shared.testing.nats import NatsServer


class Guarded:
    """`async with guarded.bus("translator") as bus`."""

    def __init__(self, folder: Path) -> None:
        parts = [Part("nats", "nats", LOOPBACK), *(Part(s, s, (s,)) for s in (*TABLE, "stranger"))]
        ca, pairs = certificates(parts, hosts=())
        (folder / "ca.crt").write_bytes(ca)
        self.files = {name: _files(folder, name, pair) for name, pair in pairs.items()}
        cert, key = self.files["nats"]
        self.ca = str(folder / "ca.crt")
        self.nats = NatsServer(folder / "nats", tls=(self.ca, cert, key), own_permissions=True)

    @asynccontextmanager
    async def bus(self, service: str) -> AsyncIterator[Bus]:
        cert, key = self.files[service]
        settings = BusSettings(urls=(f"tls://127.0.0.1:{self.nats.port}",), tls=BusTls(ca=self.ca, cert=cert, key=key))
        async with asyncio.timeout(10):
            bus = await Bus.connect(settings, service=service)
        try:
            yield bus
        finally:
            await bus.close()


def _files(folder: Path, name: str, pair: Pair) -> tuple[str, str]:
    (folder / f"{name}.crt").write_bytes(pair.certificate)
    (folder / f"{name}.key").write_bytes(pair.key)
    return str(folder / f"{name}.crt"), str(folder / f"{name}.key")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    made = Guarded(tmp_path)
    made.nats.start()
    yield made
    made.nats.kill()


def example(subject: str) -> str:
    """A subject that the wildcards fit."""
    return subject.replace(">", "a").replace("*", "b")


@pytest.mark.parametrize("service", [s for s, row in TABLE.items() if row.writes])
async def test_a_service_writes_and_reads_what_is_its_own(guarded: Guarded, service: str) -> None:
    async with guarded.bus(service) as bus:
        for subject in TABLE[service].writes:
            if subject == OBJECT_STATUS:
                results = await bus.publish([Outgoing(example(subject), b"{}", {})])
                assert not isinstance(results[0], Exception), results
                continue
            async with TableWriter(bus, subject.removesuffix(".>")) as table:
                async with asyncio.timeout(10):
                    await table.put({example(subject): b"{}"})
            assert example(subject) in await read_all(bus, stream_of(subject).name, [subject])
        for key in TABLE[service].leases:
            async with asyncio.timeout(10):
                await Lease(bus, example(key), service).acquire()


@pytest.mark.parametrize("service", list(TABLE))
async def test_a_service_cannot_write_what_another_one_owns(guarded: Guarded, service: str) -> None:
    foreign = {s for other, row in TABLE.items() if other != service for s in row.writes} - set(TABLE[service].writes)
    assert foreign
    async with guarded.bus(service) as bus:
        for subject in foreign:
            session = await bus.session()
            # permissions are checked before the stream is: the server answers nothing at all
            with pytest.raises(Unavailable):
                await bus.request(example(subject), b"{}", timeout=0.2)
            assert session is await bus.session(), "one refusal costs no connection"
    async with guarded.bus("cli") as bus:
        for stream in STREAMS:
            assert await read_all(bus, stream.name, [stream.subjects[0]]) == {}


async def test_a_stranger_with_a_certificate_of_ours_is_nobody(guarded: Guarded) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1), guarded.bus("stranger"):
            raise AssertionError("connected")


async def test_nobody_hears_the_answers_to_somebody_else(guarded: Guarded) -> None:
    async with guarded.bus("cli") as cli, guarded.bus("translator") as translator:
        heard: list[bytes] = []

        async def hear(msg: Msg) -> None:
            heard.append(msg.data)

        await cli.subscribe("_INBOX.translator.>", hear)
        await read_all(translator, "IR", ["ir.>"])
        await read_all(cli, "IR", ["ir.>"])
    assert heard == []


async def test_modules_go_from_the_watcher_to_the_xds_server(guarded: Guarded) -> None:
    async with guarded.bus("resource-watcher") as watcher, guarded.bus("xds-server") as server:
        for content in (b"first", b"second"):
            await Blobs(watcher).put("module", content)
            assert await Blobs(server).get("module") == content
        await Blobs(watcher).remove_all_but(frozenset())
        assert await Blobs(server).get("module") is None
