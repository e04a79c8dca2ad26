"""The Host infrastructure with the real Envoy: supervised, replaced, taken over, drained, and never orphaned."""

from __future__ import annotations

import asyncio
import fcntl
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import yaml

from services.infra_manager.providers.host import HostInfrastructure, stop_left_behind
from services.infra_manager.providers.host.pidfiles import FOLDER, REAPER, notes, read_note
from services.infra_manager.providers.host.process import EnvoyProcess
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra, ListenerPort, ProxyInfra, ProxyListener
from shared.ir.status import InfraStatus
from shared.runtime.settings import Settings
from shared.testing.wait import until

GATEWAY = GatewayRef("default", "gw")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def bootstrap(*ports: int, lds: Path | None = None) -> str:
    """A whole bootstrap with static listeners (or with listeners from a file, as from xDS): ready without any control plane."""

    def listener(port: int) -> str:
        return f"""
  - name: l{port}
    address: {{socket_address: {{address: 0.0.0.0, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: hello}}}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"""

    admin = "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}"
    if lds is not None:
        resource = "type.googleapis.com/envoy.config.listener.v3.Listener"
        parsed = [{"@type": resource, **each} for p in ports for each in yaml.safe_load(listener(p))]
        lds.write_text(json.dumps({"resources": parsed}))
        source = f"{{path_config_source: {{path: {lds}}}, resource_api_version: V3}}"
        return f"{admin}\nnode: {{id: x, cluster: y}}\ndynamic_resources: {{lds_config: {source}}}\n"
    return f"{admin}\nstatic_resources:\n  listeners:" + "".join(listener(p) for p in ports)


HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"


def hold(lock: Path) -> subprocess.Popen[bytes]:
    """A process that holds the lock, like `headgate up`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def infra(*ports: int, concurrency: int = 1, name: str = "default/gw", lds: Path | None = None) -> Infra:
    listeners = tuple(
        ProxyListener(name=f"{name}/{p}", ports=(ListenerPort(name=f"p{p}", protocol="HTTP", service_port=p, container_port=p),))
        for p in ports
    )
    spec: dict[str, Any] = {
        "bootstrap": {"type": "Replace", "value": bootstrap(*ports, lds=lds)},
        "concurrency": concurrency,
        "shutdown": {"drainTimeout": "5s"},
    }
    return Infra(proxy=ProxyInfra(name=name, listeners=listeners, config={"spec": spec}))


class Host:
    """One life of the provider, with the statuses that it told."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.provider = HostInfrastructure(Settings(service="infra-manager", state_dir=state_dir))
        self.statuses: dict[GatewayRef, InfraStatus | None] = {}
        self.history: list[InfraStatus | None] = []
        self._task = asyncio.create_task(self._observe())

    async def _observe(self) -> None:
        while True:
            gateway, status = await self.provider.observe()
            self.statuses[gateway] = status
            self.history.append(status)

    async def want(self, wish: Infra, gateway: GatewayRef = GATEWAY) -> None:
        await self.provider.apply(gateway, self.provider.render(gateway, wish))

    def ready(self, gateway: GatewayRef = GATEWAY) -> bool:
        status = self.statuses.get(gateway)
        return status is not None and status.ready

    def process(self, gateway: GatewayRef = GATEWAY) -> EnvoyProcess:
        found = self.provider.processes().get(gateway)
        assert found is not None
        return found

    async def end(self) -> None:
        """As after kill -9, but for the tasks of this test's own process: Envoys are left alone."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.provider.close()


Begin = Callable[[], Awaitable[Host]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    lives: list[Host] = []

    async def start() -> Host:
        lives.append(Host(tmp_path))
        await lives[-1].provider.open()
        return lives[-1]

    yield start
    for life in lives:
        await life.end()
    await asyncio.to_thread(stop_left_behind, tmp_path)
    assert not [n for _, n in notes(tmp_path) if n.alive]


async def ask(port: int) -> str:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session, session.get(f"http://127.0.0.1:{port}/") as answer:
        return await answer.text()


@pytest.fixture
def other_server() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("0.0.0.0", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_an_envoy_runs_answers_and_is_drained_away(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    status = host.statuses[GATEWAY]
    assert status == InfraStatus(addresses=("127.0.0.1",), ready=True, replicas=1)
    assert await ask(port) == "hello"
    pid = host.process().note.pid
    await host.provider.remove(GATEWAY)
    await until(lambda: GATEWAY in host.statuses and host.statuses[GATEWAY] is None)
    assert not psutil.pid_exists(pid)


async def test_a_killed_envoy_comes_back(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    first = host.process().note.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: not host.ready())
    await until(host.ready)
    assert host.process().note.pid != first
    assert await ask(port) == "hello"


async def test_an_envoy_that_cannot_start_says_why_and_is_tried_again(begin: Begin) -> None:
    host = await begin()
    bad = infra()
    assert bad.proxy is not None
    assert bad.proxy.config is not None
    bad.proxy.config["spec"]["bootstrap"]["value"] = "admin: {nonsense: 1}"
    await host.want(bad)
    await until(lambda: any(s is not None and "nonsense" in s.message for s in host.history))
    port = free_port()
    await host.want(infra(port))
    await until(host.ready)


async def test_what_needs_a_new_process_gets_one_without_a_gap(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    first = host.process().note.pid
    failures: list[Exception] = []
    asked = resets = 0
    going = True

    async def keep_asking() -> None:
        nonlocal asked, resets
        while going:
            try:
                assert await ask(port) == "hello"
                asked += 1
            except aiohttp.ClientConnectorError as e:
                # the kernel resets what stands in the accept queue of a socket that closes (unless net.ipv4.tcp_migrate_req is 1):
                # no request was sent yet, and the next connection must find the new process
                resets += 1
                if not isinstance(e.os_error, ConnectionResetError) or resets > 1:
                    failures.append(e)
            except (aiohttp.ClientError, TimeoutError, AssertionError) as e:
                failures.append(e)

    asking = asyncio.create_task(keep_asking())
    await until(lambda: asked > 20)
    await host.want(infra(port, concurrency=2))
    await until(lambda: host.process().note.pid != first)
    await until(lambda: not psutil.pid_exists(first))
    goal = asked + 20
    await until(lambda: asked > goal)
    going = False
    await asking
    assert not failures
    await host.want(infra(port, concurrency=2))
    same = host.process().note.pid
    await until(host.ready)
    assert host.process().note.pid == same


async def test_a_broken_replacement_leaves_the_old_process_serving(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    first = host.process().note.pid
    bad = infra(port)
    assert bad.proxy is not None
    assert bad.proxy.config is not None
    bad.proxy.config["spec"]["bootstrap"]["value"] = "admin: {nonsense: 1}"
    await host.want(bad)
    await until(lambda: "nonsense" in getattr(host.statuses[GATEWAY], "message", ""))
    assert host.process().note.pid == first
    assert await ask(port) == "hello"


async def test_the_next_life_takes_over_what_runs(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    pid = host.process().note.pid
    await host.end()
    assert await ask(port) == "hello"
    heir = await begin()
    assert heir.process().note.pid == pid
    await heir.want(infra(port))
    await until(heir.ready)
    assert heir.process().note.pid == pid
    os.kill(pid, signal.SIGKILL)
    await until(lambda: heir.process().note.pid != pid)
    await until(heir.ready)


async def test_the_next_life_knows_which_process_is_on_its_way_out(begin: Begin) -> None:
    """A Gateway is deleted, we die while its proxy drains, and the Gateway is made again: it gets a new proxy, and clients of the old
    one are not cut off."""
    port = free_port()
    host = await begin()
    await host.want(infra(port))
    await until(host.ready)
    old = host.process().note.pid
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def answered() -> bool:
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        return head.startswith(b"HTTP/1.1 200") and await reader.readexactly(5) == b"hello"

    assert await answered()
    await host.provider.remove(GATEWAY)
    await until(lambda: next(n.leaves_at for _, n in notes(host.state_dir) if n.pid == old) > 0)
    await host.end()
    heir = await begin()
    await heir.want(infra(port))
    await until(heir.ready)
    assert heir.process().note.pid != old
    assert await ask(port) == "hello"
    assert await answered(), "over the connection to the old process"
    writer.close()
    await until(lambda: not psutil.pid_exists(old))
    assert heir.ready()


async def test_a_port_already_taken_is_told_and_used_when_it_is_free(begin: Begin, other_server: http.server.HTTPServer) -> None:
    taken, free = other_server.server_address[1], free_port()
    host = await begin()
    other = GatewayRef("default", "other")
    await host.want(infra(free, name="default/other"), other)
    await host.want(infra(taken))
    await until(lambda: any(s is not None and s.message.startswith(f"port {taken} is already taken by ") for s in host.history))
    await until(lambda: host.ready(other))
    assert await ask(free) == "hello"
    assert not host.ready()
    other_server.shutdown()
    other_server.server_close()
    await until(host.ready, 20)
    assert await ask(taken) == "hello"


async def test_one_port_taken_does_not_hurt_the_others(begin: Begin, other_server: http.server.HTTPServer, tmp_path: Path) -> None:
    taken, free = other_server.server_address[1], free_port()
    host = await begin()
    await host.want(infra(taken, free, lds=tmp_path / "lds.json"))
    await until(host.ready)
    await until(lambda: f"port {taken} is already taken" in getattr(host.statuses[GATEWAY], "message", ""))
    assert host.ready()
    assert await ask(free) == "hello"
    other_server.shutdown()
    other_server.server_close()
    await until(lambda: getattr(host.statuses[GATEWAY], "message", "") == "", 20)

    async def served() -> bool:
        return await ask(taken) == "hello"

    await until(served, 20)
    assert await ask(free) == "hello"


async def test_two_fleets_never_share_a_port(begin: Begin) -> None:
    port = free_port()
    host = await begin()
    late = GatewayRef("default", "late")
    await host.want(infra(port))
    await host.want(infra(port, name="default/late"), late)
    await until(host.ready)
    await until(lambda: getattr(host.statuses.get(late), "message", "") == f"port {port} is already taken by Gateway default/gw")
    assert host.provider.processes()[late] is None
    await host.provider.remove(GATEWAY)
    await until(lambda: host.ready(late))


async def test_the_end_of_the_supervisor_ends_the_envoys(begin: Begin, tmp_path: Path) -> None:
    """As when `headgate up` is killed with -9, and everything it started dies with it but the Envoys."""
    supervisor = await asyncio.to_thread(hold, tmp_path / "lock")
    host = await begin()
    await host.want(infra(free_port()))
    await until(host.ready)
    pid = host.process().note.pid
    reaper = await until(lambda: read_note(tmp_path / FOLDER / REAPER))
    await until(lambda: reaper.alive)
    await host.end()
    assert psutil.pid_exists(pid)
    supervisor.kill()
    supervisor.communicate()
    await until(lambda: not [n for _, n in notes(tmp_path) if n.alive])

    def gone() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    await until(gone)
    await until(lambda: not reaper.alive)


def test_a_note_of_another_process_kills_nobody(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER / "default.gw" / "1"
    folder.mkdir(parents=True)
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "pid.json").write_text(
        f'{{"pid": {innocent.pid}, "created": 1.0, "marker": "bootstrap", "key": "", "gateway": "default/gw"}}'
    )
    assert stop_left_behind(tmp_path) == []
    assert innocent.poll() is None
    innocent.kill()
    innocent.wait()


def test_locks_are_seen(tmp_path: Path) -> None:
    from services.infra_manager.providers.host.pidfiles import locked

    path = tmp_path / "lock"
    assert not locked(path)
    with path.open("w") as file:
        assert not locked(path)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locked(path)
