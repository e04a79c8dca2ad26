"""The whole pipeline as it is run for real, to be broken by tests: nats-server, four service processes, Envoys, a folder, backends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import msgspec
from aiohttp import web

from services.cli.certgen import SEALING_KEY, generate
from services.cli.up import plan
from services.cli.up.plan import Layout
from services.infra_manager.providers.host import stop_left_behind
from shared.bus.connection import Bus
from shared.bus.settings import BusSettings
from shared.bus.table import read_all
from shared.runtime.config import EnvoyGateway
from shared.runtime.settings import SERVICES
from shared.testing.nats import NatsServer
from shared.testing.servers import http_server
from shared.testing.wait import until


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def _signal(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)


class Pipeline:
    """`async with Pipeline(tmp_path) as p`: p.folder is watched; p.port is where the Gateway of `gateway()` listens."""

    def __init__(self, root: Path, config: EnvoyGateway | None = None) -> None:
        self.root = root
        self.folder = root / "objects"
        self.layout = Layout(root / "state")
        self.nats = NatsServer(root / "nats")
        self.port = free_port()
        self.tls_port = free_port()
        self.xds_port, self.wasm_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._config = config or EnvoyGateway()
        self._children: dict[str, plan.Child] = {}
        self.client = httpx.AsyncClient(timeout=5)

    async def __aenter__(self) -> Pipeline:
        self.folder.mkdir()
        self.layout.root.mkdir()
        self.layout.logs.mkdir()
        generate(self.layout.certs)
        self.nats.reserve()
        made = plan.configuration(self._config, self.folder, self.layout, self.nats.port, self.layout.certs / SEALING_KEY)
        self.layout.config.write_text(plan.text(made))
        self._children = {c.name: c for c in plan.children(self.layout, Path("nats-server"), self.xds_port, self.wasm_port, None)}
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes.values():
            _signal(process, signal.SIGTERM)
        try:
            for name in list(self.processes):
                self.stop(name)
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait(5)
            stop_left_behind(self.layout.root)
            self.nats.kill()
            await self.client.aclose()

    # processes

    def start(self, *names: str) -> None:
        for name in names or SERVICES:
            with (self.layout.logs / f"{name}.log").open("ab") as log:
                environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
                self.processes[name] = subprocess.Popen(
                    self._children[name].argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
                )

    def start_second(self, service: str, replica: str, **other: str) -> None:
        """Another replica of a service under its own name; `other` options by name (xds_port for --xds-port)."""
        argv = list(self._children[service].argv)
        for option, value in {"replica": replica, **other}.items():
            argv[argv.index(f"--{option.replace('_', '-')}") + 1] = value
        with (self.layout.logs / f"{replica}.log").open("ab") as log:
            self.processes[replica] = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self, name: str) -> None:
        self._end(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        self._end(name, signal.SIGTERM)

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self.processes.pop(name)
        _signal(process, how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise AssertionError(f"{name} did not stop within 15 s of {how.name}:\n{self.log(name)[-3000:]}") from None

    def log(self, name: str) -> str:
        return (self.layout.logs / f"{name}.log").read_text(errors="replace")

    def envoy_pids(self) -> list[int]:
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command and command[0].endswith(b"/envoy") and str(self.layout.root).encode() in b" ".join(command):
                    found.append(int(pid))
        return found

    # input

    def write(self, name: str, text: str) -> None:
        """As editors do it: a new file moved over the old."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(text)
        draft.replace(path)

    def gateway(self, *, listeners: str = "") -> None:
        self.write(
            "gateway.yaml",
            f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: headgate}}
spec: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec:
  gatewayClassName: headgate
  listeners:
  - {{name: http, protocol: HTTP, port: {self.port}}}
{listeners}
""",
        )

    def backend(self, name: str, port: int) -> None:
        self.write(
            f"backend-{name}.yaml",
            f"""
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: {name}}}
spec: {{endpoints: [{{ip: {{address: 127.0.0.1, port: {port}}}}}]}}
""",
        )

    def route(self, name: str, backend: str, *, path: str = "/", answer: str = "", more: str = "") -> None:
        header = (
            f"filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-answer, value: '{answer}'}}]}}}}]"
            if answer
            else ""
        )
        self.write(
            f"route-{name}.yaml",
            f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {backend}}}]
    {header}
{more}
""",
        )

    async def start_with_good(self, port: int, *, listeners: str = "", deadline: float = 40) -> None:
        """Starts everything; returns when `/good` is served by the backend `one` at that port."""
        self.gateway(listeners=listeners)
        self.backend("one", port)
        self.route("good", "one", path="/good", answer="yes")
        self.nats.start()
        self.start()
        await self.answers("/good", "yes", deadline)

    # output

    async def get(self, path: str = "/", **headers: str) -> httpx.Response:
        return await self.client.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)

    async def answers(self, path: str, answer: str, deadline: float = 20) -> None:
        """Waits until the route of that path answers with that x-answer header."""

        async def right() -> bool:
            found = await self.get(path)
            return found.status_code == 200 and found.headers.get("x-answer") == answer

        await until(right, deadline)

    def status(self, group: str, kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
        """The status file of an object, {} while there is none."""
        import yaml

        path = self.layout.root / "status" / (group or "core") / kind / namespace / f"{name}.yaml"
        return yaml.safe_load(path.read_text())["status"] if path.exists() else {}

    def conditions(self, name: str, kind: str = "HTTPRoute") -> dict[str, dict[str, Any]]:
        status = self.status("gateway.networking.k8s.io", kind, name)
        entries = status.get("parents") or [status]
        return {c["type"]: c for e in entries for c in e.get("conditions", ())}

    async def service_status(self, service: str) -> dict[str, Any]:
        note = json.loads((self.layout.notes / f"{service}.json").read_text())
        async with aiohttp.ClientSession() as session, session.get(note["ops"] + "/status") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def admin(self) -> str:
        """The admin address that the youngest Envoy wrote down."""
        file = await until(lambda: max((self.layout.root / "envoy").rglob("admin*"), key=lambda f: f.stat().st_mtime, default=None))
        return f"http://{file.read_text().strip()}"

    async def proxy_config(self) -> dict[str, Any]:
        """What the youngest Envoy holds, resources by type and name, without versions and times."""
        dump = (await self.client.get(f"{await self.admin()}/config_dump?include_eds")).json()
        out: dict[str, Any] = {}
        for section in dump["configs"]:
            for field, entries in section.items():
                if not field.startswith("dynamic"):
                    continue
                for entry in entries:
                    body = next(
                        (entry[k] for k in ("listener", "cluster", "route_config", "endpoint_config", "secret") if k in entry), None
                    )
                    body = body or entry.get("active_state", {}).get("listener")
                    if body:
                        out[f"{field}/{body.get('name') or body.get('cluster_name')}"] = body
        return out

    @contextlib.asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        made = await Bus.connect(BusSettings(urls=(self.nats.url,)), service="test")
        try:
            yield made
        finally:
            await made.close()

    async def stream(self, stream: str, subject: str) -> Mapping[str, bytes]:
        async with self.bus() as bus:
            return {s: e.value for s, e in (await read_all(bus, stream, [subject])).items() if not e.deleted}

    async def problems(self) -> list[dict[str, str]]:
        found = await self.stream("STATUS", "status.provider.>")
        return [p for v in found.values() for p in msgspec.json.decode(v)["problems"]]

    def remove_folder(self) -> Path:
        aside = self.root / "aside"
        self.folder.rename(aside)
        return aside

    def copy_of(self, folder: Path) -> None:
        shutil.copytree(folder, self.folder)


@contextlib.asynccontextmanager
async def echo(name: str) -> AsyncIterator[int]:
    """A backend that answers with its name; gives its port."""

    async with http_server(lambda _: web.Response(text=name)) as port:
        yield port


class Traffic:
    """Steady requests in the background; `failures` are answers other than 200 and errors."""

    def __init__(self, url: str, every: float = 0.01) -> None:
        self._url = url
        self._every = every
        self.sent = 0
        self.failures: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Traffic:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=5) as client:
            while True:
                try:
                    answer = await client.get(self._url)
                    if answer.status_code != 200:
                        self.failures.append(f"{answer.status_code} {answer.text[:80]}")
                except httpx.HTTPError as e:
                    self.failures.append(f"{type(e).__name__}: {e}")
                self.sent += 1
                await asyncio.sleep(self._every)
