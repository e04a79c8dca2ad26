"""The configuration of NATS as pods get it, with a real nats-server: it takes it, and a service of ours works on it."""

from __future__ import annotations

import asyncio
import os
from functools import reduce
from pathlib import Path

from services.cli.cluster_secrets import NATS, client_secret, kits
from shared.bus.connection import Bus
from shared.bus.settings import BusSettings, BusTls
from shared.bus.table import TableWriter
from shared.runtime.binaries import find
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.unit.deploy.manifests import of_kind


async def test_pods_nats_takes_its_configuration_and_our_certificates(tmp_path: Path) -> None:
    (bus_kit,) = (kit for kit in kits("envoy-gateway-system", "cluster.local") if NATS in kit.names)
    for name, data in bus_kit.make().items():
        (tmp_path / name).mkdir()
        for file, content in data.items():
            (tmp_path / name / file).write_bytes(content)
    port = free_port()
    files = of_kind("ConfigMap")["headgate-nats"]["data"]
    here = {'"/certs/': f'"{tmp_path / NATS}/', '"/data"': f'"{tmp_path / "data"}"', "0.0.0.0:4222": f"127.0.0.1:{port}", "8222": "-1"}
    for name, text in files.items():
        (tmp_path / name).write_text(reduce(lambda t, change: t.replace(*change), here.items(), text))
    with (tmp_path / "log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            str(find("nats-server")), "-c", str(tmp_path / "nats.conf"), stderr=log, env={**os.environ, "POD_NAME": "headgate-nats-0"}
        )
    try:
        await until(lambda: "Server is ready" in (tmp_path / "log").read_text())
        own = tmp_path / client_secret("infra-manager")
        tls = BusTls(ca=str(own / "ca.crt"), cert=str(own / "tls.crt"), key=str(own / "tls.key"))
        async with asyncio.timeout(15):
            bus = await Bus.connect(BusSettings(urls=(f"nats://localhost:{port}",), tls=tls), service="infra-manager")
            try:
                async with TableWriter(bus, "status.infra") as table:
                    assert await table.put({"status.infra.a.b": b"{}"}) == 1
            finally:
                await bus.close()
    finally:
        server.terminate()
        await server.wait()
