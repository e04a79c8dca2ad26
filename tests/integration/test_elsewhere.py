"""What Envoy gets or finds elsewhere: certificates from a server of secrets beside it, and hosts that clients choose."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from shared.runtime.config import EnvoyGateway, ExtensionApis
from shared.testing.wait import until
from shared.xds.message import TYPE_PREFIX, decode, encode
from tests.integration.authority import Authority
from tests.integration.pipeline import Pipeline, echo

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "secure.example.com"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"


@contextlib.asynccontextmanager
async def secrets(socket: Path, name: str, certificate: str, key: str) -> AsyncIterator[list[str]]:
    """A server that has one certificate; gives the names that it was asked for."""
    asked: list[str] = []
    chain = {"certificate_chain": {"inline_string": certificate}, "private_key": {"inline_string": key}}
    secret = {"type_url": TYPE_PREFIX + SECRET, "value": encode(SECRET, {"name": name, "tls_certificate": chain})}
    answer = {"version_info": "1", "nonce": "1", "type_url": TYPE_PREFIX + SECRET, "resources": [secret]}

    async def stream(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for each in requests:
            request = decode("envoy.service.discovery.v3.DiscoveryRequest", each)
            asked.extend(request.resource_names)
            if not request.version_info:
                yield encode("envoy.service.discovery.v3.DiscoveryResponse", answer)

    server = grpc.aio.server()
    methods = {"StreamSecrets": grpc.stream_stream_rpc_method_handler(stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("envoy.service.secret.v3.SecretDiscoveryService", methods),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield asked
    finally:
        await server.stop(0)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pipeline]:
    config = EnvoyGateway(extension_apis=ExtensionApis(enable_backend=True, enable_sds_secret_ref=True))
    async with echo("one") as port, Pipeline(tmp_path_factory.mktemp("elsewhere"), config) as p:
        https = f"  - {{name: https, protocol: HTTPS, port: {p.tls_port}, tls: {{certificateRefs: [{{name: elsewhere}}]}}}}"
        await p.start_with_good(port, listeners=https)
        yield p


async def test_a_listeners_certificate_from_another_server(pipeline: Pipeline) -> None:
    authority = Authority()
    # a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="sds") as folder:
        socket = Path(folder) / "s"
        async with secrets(socket, "default", *authority.issue(HOST)) as asked:
            data = {"secretName": "default", "url": f"unix://{socket}"}
            made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "elsewhere", "namespace": "default"}, "stringData": data}
            pipeline.write("elsewhere.yaml", json.dumps({**made, "type": "gateway.envoyproxy.io/sds"}))

            async def served() -> bool:
                context = authority.client(Path(folder))
                reader, writer = await asyncio.open_connection("127.0.0.1", pipeline.tls_port, ssl=context, server_hostname=HOST)
                try:
                    writer.write(f"GET /good HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
                    async with asyncio.timeout(5):
                        return b" 200 " in await reader.read()
                finally:
                    writer.close()
                    await writer.wait_closed()

            await until(served, 20)
            assert "default" in asked


async def test_clients_that_choose_the_host_cannot_choose_the_proxys_own(pipeline: Pipeline) -> None:
    async with echo("private") as port:
        pipeline.write(
            "dynamic.yaml",
            """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: any}
spec: {type: DynamicResolver}
""",
        )
        pipeline.route("any", "any", path="/any", answer="any")

        async def refused() -> bool:
            return (await pipeline.get("/any", host=f"127.0.0.1:{port}")).status_code == 403

        await until(refused, 20)
        assert (await pipeline.get("/any", host=f"localhost:{port}")).status_code == 403
        assert (await pipeline.get("/any", host="nowhere.invalid")).status_code == 503
