"""infra_manager as it is run: the real NATS, the real Envoy, certificates of certgen, a control plane that speaks TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from services.cli.certgen import generate
from services.infra_manager.providers.host import stop_left_behind
from services.infra_manager.providers.host.pidfiles import notes
from services.infra_manager.service import run
from shared.bus.connection import Bus
from shared.bus.settings import BusSettings
from shared.bus.table import TableReader, TableWriter
from shared.core.refs import GatewayRef
from shared.ir.base import encode
from shared.ir.infra import Infra, ProxyInfra
from shared.ir.status import InfraStatus
from shared.runtime.config import CustomProvider, EnvoyGateway, InfrastructureProvider, Provider, ResourceProvider
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.testing.nats import NatsServer
from shared.testing.wait import until

SUBJECT = "ir.infra.default.gw"
STATUS = "status.infra.default.gw"
STATIC = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}"


def infra(config: dict[str, Any] | None = None) -> bytes:
    return encode(Infra(proxy=ProxyInfra(name="default/gw", config={"spec": config or {}})))


ON_HOST = Provider(
    type="Custom", custom=CustomProvider(resource=ResourceProvider(type="File"), infrastructure=InfrastructureProvider(type="Host"))
)
RUNS = infra({"bootstrap": {"value": STATIC}, "concurrency": 1, "shutdown": {"drainTimeout": "1s"}})


class World:
    """A bus, what it says of fleets, and infra_managers."""

    def __init__(self, state_dir: Path, url: str) -> None:
        self.state_dir = state_dir
        self.url = url
        self.bus: Bus
        self.statuses: dict[str, InfraStatus | None] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def settings(self, **more: Any) -> Settings:
        config = EnvoyGateway(bus=BusSettings(urls=(self.url,)), provider=ON_HOST)
        return Settings(service="infra-manager", config=config, replica="test", state_dir=self.state_dir, **more)

    async def open(self) -> None:
        self.bus = await Bus.connect(BusSettings(urls=(self.url,)), service="test")
        self._tasks.append(asyncio.create_task(self._watch()))

    async def _watch(self) -> None:
        async for batch in TableReader(self.bus, ["status.infra.>"]):
            for subject, entry in batch.changes.items():
                self.statuses[subject] = msgspec.json.decode(entry.value, type=InfraStatus) if entry else None

    def ready(self) -> bool:
        status = self.statuses.get(STATUS)
        return status is not None and status.ready

    @contextlib.asynccontextmanager
    async def manager(self, settings: Settings | None = None) -> AsyncIterator[Ops]:
        ops, stop = Ops("infra-manager", "test"), asyncio.Event()
        task = asyncio.create_task(run(settings or self.settings(), ops, stop))
        try:
            yield ops
        finally:
            stop.set()
            await asyncio.wait_for(task, 15)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.bus.close()


@pytest.fixture
async def world(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[World]:
    made = World(tmp_path / "state", nats_server.url)
    await made.open()
    yield made
    await made.close()
    await asyncio.to_thread(stop_left_behind, made.state_dir)


def pids(state_dir: Path) -> list[int]:
    return [n.pid for _, n in notes(state_dir) if n.alive]


async def test_a_wish_becomes_a_proxy_and_a_status(world: World) -> None:
    async with TableWriter(world.bus, "ir.infra") as wishes, world.manager() as ops:
        await wishes.put({SUBJECT: RUNS})
        await until(world.ready)
        assert world.statuses[STATUS] == InfraStatus(addresses=("127.0.0.1",), ready=True, replicas=1)
        assert ops.not_ready == ""
        assert ops.status()["fleets"]["default/gw"]["ready"] is True
        await wishes.put({SUBJECT: None})
        await until(lambda: world.statuses[STATUS] is None)
        assert not pids(world.state_dir)


async def test_an_unusable_wish_is_told_and_what_runs_goes_on(world: World) -> None:
    async with TableWriter(world.bus, "ir.infra") as wishes, world.manager():
        await wishes.put({SUBJECT: RUNS})
        await until(world.ready)
        (pid,) = pids(world.state_dir)
        await wishes.put({SUBJECT: infra({"bootstrap": {"type": "Merge", "value": "nonsense: {"}})})
        await until(lambda: "bootstrap" in getattr(world.statuses[STATUS], "message", ""))
        assert world.ready()
        assert pids(world.state_dir) == [pid]


async def test_a_restart_keeps_proxies_and_publishes_nothing(world: World) -> None:
    async with TableWriter(world.bus, "ir.infra") as wishes:
        await wishes.put({SUBJECT: RUNS})
        async with world.manager():
            await until(world.ready)
            running = pids(world.state_dir)
        before = (await world.bus.api("STREAM.INFO.STATUS"))["state"]["last_seq"]
        async with world.manager() as ops:
            await until(lambda: (ops.status()["fleets"].get("default/gw") or {}).get("ready"))
        assert pids(world.state_dir) == running
        assert (await world.bus.api("STREAM.INFO.STATUS"))["state"]["last_seq"] == before


async def test_what_was_deleted_meanwhile_is_removed_and_a_wiped_bus_removes_nothing(world: World, nats_server: NatsServer) -> None:
    async with TableWriter(world.bus, "ir.infra") as wishes:
        await wishes.put({SUBJECT: RUNS})
        async with world.manager():
            await until(world.ready)
        running = pids(world.state_dir)
        await wishes.close()
        nats_server.restart(wipe=True)
        async with world.manager() as ops:
            await until(lambda: ops.not_ready == "" and "fleets" in ops.status())
            assert pids(world.state_dir) == running
    async with TableWriter(world.bus, "ir.infra") as wishes:
        await wishes.put({SUBJECT: RUNS})
        await wishes.put({SUBJECT: None})
        async with world.manager():
            await until(lambda: not pids(world.state_dir))


async def test_killed_with_9_its_proxies_live_and_are_taken_over(world: World) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from services.infra_manager.service import run\n"
        "from shared.bus.settings import BusSettings\n"
        "from shared.runtime.config import CustomProvider, EnvoyGateway, Provider, ResourceProvider\n"
        "from shared.runtime.ops import Ops\n"
        "from shared.runtime.settings import Settings\n"
        "host = Provider(type='Custom', custom=CustomProvider(resource=ResourceProvider(type='File')))\n"
        "config = EnvoyGateway(bus=BusSettings(urls=(sys.argv[1],)), provider=host)\n"
        "settings = Settings(service='infra-manager', config=config, replica='test', state_dir=Path(sys.argv[2]))\n"
        "asyncio.run(run(settings, Ops('infra-manager', 'test'), asyncio.Event()))\n"
    )
    command = (sys.executable, "-c", program, world.url, str(world.state_dir))
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    async with TableWriter(world.bus, "ir.infra") as wishes:
        await wishes.put({SUBJECT: RUNS})
        await until(world.ready, 20)
        (pid,) = pids(world.state_dir)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert psutil.pid_exists(pid)
        async with world.manager() as ops:
            await until(lambda: (ops.status().get("fleets", {}).get("default/gw") or {}).get("ready"), 20)
            assert pids(world.state_dir) == [pid]
            os.kill(pid, signal.SIGKILL)
            await until(lambda: pids(world.state_dir) not in ([pid], []))
            await until(world.ready)


async def test_a_second_replica_stands_by_until_the_first_is_gone(world: World) -> None:
    async with TableWriter(world.bus, "ir.infra") as wishes:
        await wishes.put({SUBJECT: RUNS})
        second = msgspec.structs.replace(world.settings(), replica="second")
        async with world.manager() as first:
            await until(lambda: first.not_ready == "" and "fleets" in first.status())
            async with world.manager(second) as standby:
                await until(lambda: standby.not_ready == "")
                await until(world.ready)
                assert standby.status()["standby"] is True
                assert "fleets" in first.status()
        assert len(pids(world.state_dir)) == 1


async def test_envoy_and_control_plane_prove_themselves_to_each_other(world: World, tmp_path: Path) -> None:
    """The default bootstrap on the real Envoy: it dials the control plane with its certificate, and checks ours."""
    certs = tmp_path / "certs"
    generate(certs)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certs / "ca.crt"))
    context.load_cert_chain(certs / "envoy-gateway" / "tls.crt", certs / "envoy-gateway" / "tls.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    dialled: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        preface = await reader.read(24)
        if not dialled.done():
            dialled.set_result((writer.get_extra_info("peercert"), preface))
        writer.close()

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = await asyncio.start_server(serve, "127.0.0.1", port, ssl=context)
    settings = world.settings(cert_dir=certs, xds_port=port)
    async with server, TableWriter(world.bus, "ir.infra") as wishes, world.manager(settings):
        await wishes.put({SUBJECT: infra({"concurrency": 1})})
        certificate, preface = await asyncio.wait_for(dialled, 15)
        assert preface.startswith(b"PRI * HTTP/2.0")
        assert ("DNS", "*.envoy-gateway-system") in certificate["subjectAltName"]
        folder, _ = notes(world.state_dir)[0]
        url = "http://" + (await until(lambda: (folder / "admin").read_text().strip()))
        async with aiohttp.ClientSession() as session, session.get(url + "/server_info") as answer:
            node = (await answer.json(content_type=None))["node"]
        assert node["cluster"] == "default/gw"
        assert node["id"].startswith("default-gw-")


def test_the_status_subject_is_the_gateways() -> None:
    assert GatewayRef("default", "gw").subject("status.infra") == STATUS
