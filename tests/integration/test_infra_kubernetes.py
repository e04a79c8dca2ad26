"""A proxy's pod as it is rendered for Kubernetes, with the real Envoy: it gets its configuration, and ends without cutting off anybody."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx

from services.cli.shutdown.drain import Drain, drain, open_connections
from services.cli.shutdown.manager import Manager
from services.infra_manager.providers.kubernetes.render.fleet import render
from services.infra_manager.providers.kubernetes.render.options import KubeOptions
from shared.ir.infra import Infra, InfraMetadata, ListenerPort, ProxyInfra, ProxyListener
from shared.runtime.binaries import find
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.integration.pipeline import Pipeline, echo

OWNER = {"gateway.envoyproxy.io/owning-gateway-name": "gw", "gateway.envoyproxy.io/owning-gateway-namespace": "default"}


def container(spec: dict[str, Any], options: KubeOptions) -> tuple[dict[str, Any], dict[str, str]]:
    """Envoy's, and the files of its ConfigMap."""
    web = ProxyListener(name="web", ports=(ListenerPort(name="http-80", protocol="HTTP", service_port=80, container_port=10080),))
    proxy = ProxyInfra(name="default/gw", metadata=InfraMetadata(labels=OWNER), listeners=(web,), config={"spec": spec})
    plan = render(Infra(proxy=proxy), options)
    assert plan is not None
    found = {m.ref.kind: m.body() for m in plan.manifests}
    return found["Deployment"]["spec"]["template"]["spec"]["containers"][0], found["ConfigMap"]["data"]


class Pod:
    """Envoy as the kubelet would start it; what differs on this machine: folders, and ports that are free."""

    def __init__(self, folder: Path, certs: Path, xds_port: int) -> None:
        self.admin = free_port()
        made, files = container({"extraArgs": ["--disable-hot-restart"]}, KubeOptions(xds_host="127.0.0.1", xds_port=xds_port))
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content.replace("/certs", str(certs)))
        replaced = {
            "$(ENVOY_POD_NAME)": "pod-1",
            "$(ENVOY_SERVICE_ZONE)": "",
            "/sds": str(folder),
            "port_value: 19000": f"port_value: {self.admin}",
            "port_value: 19001": f"port_value: {free_port()}",
        }
        self.arguments = [str(find("envoy"))]
        text = "\0".join(made["args"])
        for old, new in replaced.items():
            text = text.replace(old, new)
        self.arguments += text.split("\0")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.admin}"

    @contextlib.asynccontextmanager
    async def running(self, log: Path) -> AsyncIterator[None]:
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(*self.arguments, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.kill()
            await process.wait()


async def test_a_pod_gets_its_configuration_and_ends_politely(tmp_path: Path) -> None:
    async with echo("one") as port, Pipeline(tmp_path) as p, httpx.AsyncClient(timeout=5) as client, httpx.AsyncClient() as admin:
        p.gateway()
        p.backend("one", port)
        p.route("r", "one")
        p.nats.start()
        p.start("resource-watcher", "translator", "xds-server")
        url, pod = f"http://127.0.0.1:{p.port}", Pod(tmp_path / "sds", p.layout.certs / "envoy", p.xds_port)

        async def serves() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return (await client.get(url)).status_code == 200
            return False

        async with pod.running(tmp_path / "envoy.log"):
            await until(serves, 40)
            assert (await admin.get(f"{pod.url}/ready")).text.strip() == "LIVE"
            assert await asyncio.to_thread(open_connections, pod.url) == 1
            note = tmp_path / "note"
            with manager(note) as hook:
                waiting = asyncio.create_task(asyncio.to_thread(asked, hook))
                how = Drain(longest=60, least=0)
                draining = asyncio.create_task(asyncio.to_thread(drain, how, pod.url, note, 0.05))
                await until(lambda: _draining(admin, pod.url))
                assert not draining.done(), "a connection is open"
                answer = await client.get(url)
                assert (answer.status_code, answer.headers["connection"]) == (200, "close"), "served, and asked to leave"
                await asyncio.wait_for(draining, 20)
                assert await asyncio.wait_for(waiting, 20) == 200
                assert note.exists()


async def _draining(admin: httpx.AsyncClient, url: str) -> bool:
    found: dict[str, Any] = (await admin.get(f"{url}/server_info")).json()
    return str(found["state"]) == "DRAINING"


@contextlib.contextmanager
def manager(note: Path, ready_timeout: float = 60) -> Iterator[str]:
    """Where it answers."""
    made = Manager(ready_timeout, port=0, note=note, poll=0.05)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def asked(hook: str, path: str = "/shutdown/ready") -> int:
    try:
        with urllib.request.urlopen(hook + path, timeout=30) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as e:
        with e:
            return e.code


async def test_the_end_is_not_held_up_for_ever(tmp_path: Path) -> None:
    with manager(tmp_path / "never", ready_timeout=0.1) as hook:
        assert await asyncio.to_thread(asked, hook) == 500
        assert await asyncio.to_thread(asked, hook, "/healthz") == 200
        assert await asyncio.to_thread(asked, hook, "/other") == 404


async def test_an_envoy_that_does_not_answer_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    nowhere = f"http://127.0.0.1:{free_port()}"
    await asyncio.wait_for(asyncio.to_thread(drain, Drain(longest=0.2, least=0), nowhere, note, 0.05), 10)
    assert note.exists()
