"""A real Envoy for tests: starts with ADS from a given port, says when it is ready, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from shared.runtime.binaries import find


def bootstrap(ads_port: int, *, cluster: str, node: str, delta: bool = True, tls: dict[str, str] | None = None) -> dict[str, Any]:
    """Envoy's bootstrap; `tls` has the file names `certificate`, `private_key` and `ca` for mTLS towards the ADS server."""
    ads: dict[str, Any] = {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ads_port}}}}]}
            ],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
    }
    if tls is not None:
        ads["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "common_tls_context": {
                    "tls_certificates": [
                        {"certificate_chain": {"filename": tls["certificate"]}, "private_key": {"filename": tls["private_key"]}}
                    ],
                    "validation_context": {"trusted_ca": {"filename": tls["ca"]}},
                },
            },
        }
    return {
        "node": {"id": node, "cluster": cluster},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC" if delta else "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {"clusters": [ads]},
    }


class Envoy:
    """A running Envoy and its admin interface."""

    def __init__(self, process: asyncio.subprocess.Process, admin: str, log: Path, http: httpx.AsyncClient) -> None:
        self.process = process
        self.admin = admin
        self.log = log
        self._http = http

    async def get(self, path: str) -> str:
        """The admin interface's answer."""
        answer = await self._http.get(self.admin + path)
        return answer.text

    async def config_dump(self) -> dict[str, Any]:
        """The dump's sections by type name without package (`RoutesConfigDump` …), endpoints included."""
        dump = json.loads(await self.get("/config_dump?include_eds"))
        return {c["@type"].rpartition(".")[2]: c for c in dump["configs"]}

    async def stats(self, prefix: str) -> dict[str, int]:
        """Counters and gauges whose name starts with the prefix."""
        lines = (line.partition(": ") for line in (await self.get("/stats?filter=^" + prefix)).splitlines())
        return {name: int(value) for name, _, value in lines if value.isdecimal()}

    async def wait_live(self, limit: float = 15.0) -> None:
        """Until Envoy says that it is LIVE: it has had a first answer for all that it asked; TimeoutError with its log's end."""
        try:
            async with asyncio.timeout(limit):
                while (await self.get("/ready")).strip() != "LIVE":  # noqa: ASYNC110  it is another process that says so
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"Envoy is not live after {limit} s:\n{self.tail()}") from None

    def tail(self, size: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-size:]


@contextlib.asynccontextmanager
async def running_envoy(
    ads_port: int,
    *,
    cluster: str = "default/eg",
    node: str = "envoy-test",
    delta: bool = True,
    tls: dict[str, str] | None = None,
    log_level: str = "warning",
    concurrency: int = 1,
    config: Mapping[str, Any] | None = None,
) -> AsyncIterator[Envoy]:
    """A started Envoy, ended (by force if need be) when the block is left. `config`: another bootstrap than that of this module."""
    with tempfile.TemporaryDirectory(prefix="envoy-test-") as folder:
        boot, admin_file, log = (Path(folder) / n for n in ("bootstrap.json", "admin", "log"))
        boot.write_text(json.dumps(config or bootstrap(ads_port, cluster=cluster, node=node, delta=delta, tls=tls)))
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                str(find("envoy")),
                *("-c", str(boot), "--admin-address-path", str(admin_file), "-l", log_level),
                *("--concurrency", str(concurrency), "--use-dynamic-base-id", "--base-id-path", str(Path(folder) / "base-id")),
                *("--drain-time-s", "1", "--parent-shutdown-time-s", "2"),
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            async with httpx.AsyncClient(timeout=10) as http:
                yield Envoy(process, await _admin(process, admin_file, log), log, http)
        finally:
            await _end(process)


async def _admin(process: asyncio.subprocess.Process, file: Path, log: Path) -> str:
    """The admin interface's address, which Envoy writes to a file once it listens."""
    async with asyncio.timeout(30):
        while not (file.exists() and file.read_text().strip()):
            if process.returncode is not None:
                raise RuntimeError(f"Envoy ended with {process.returncode}:\n{log.read_text(errors='replace')[-4000:]}")
            await asyncio.sleep(0.01)
    return "http://" + file.read_text().strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(3):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
