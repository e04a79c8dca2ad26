"""Every kind of route with traffic of its kind, through the whole pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from services.cli.certgen import certificates
from shared.testing.servers import grpc_server
from shared.testing.wait import until
from tests.integration.pipeline import Pipeline, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTE = """
apiVersion: gateway.networking.k8s.io/{version}
kind: {kind}
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw, sectionName: {section}}}]
  {more}
  rules:
  - backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: {backend}}}]
"""


class World:
    """A Gateway with a listener of each protocol, and a backend for each, which answers with the protocol's name."""

    def __init__(self, p: Pipeline, ports: dict[str, int]) -> None:
        self.p = p
        self.ports = ports


@contextlib.asynccontextmanager
async def stream_server(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            writer.write(answer + await reader.readline())
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


class _Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(b"udp " + data, addr)


@contextlib.asynccontextmanager
async def udp_server() -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Udp, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def grpc_echo() -> AsyncIterator[int]:
    async def echo(request: bytes, _: Any) -> bytes:
        return b"grpc " + request

    async with grpc_server("test.Echo", Say=grpc.unary_unary_rpc_method_handler(echo)) as port:
        yield port


def tls_context(folder: Path) -> ssl.SSLContext:
    _, pairs = certificates(hosts=("secure.example.com",))
    (folder / "tls.crt").write_bytes(pairs["envoy"].certificate)
    (folder / "tls.key").write_bytes(pairs["envoy"].key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    async with (
        stream_server(b"tcp ") as tcp,
        stream_server(b"tls ", tls_context(folder)) as tls,
        udp_server() as udp,
        grpc_echo() as rpc,
        Pipeline(tmp_path_factory.mktemp("kinds")) as p,
    ):
        ports = {name: free_port() for name in ("tcp", "tls", "udp")}
        p.gateway(
            listeners=f"""
  - {{name: tcp, protocol: TCP, port: {ports["tcp"]}}}
  - {{name: tls, protocol: TLS, port: {ports["tls"]}, tls: {{mode: Passthrough}}}}
  - {{name: udp, protocol: UDP, port: {ports["udp"]}}}
"""
        )
        for name, port in (("tcp", tcp), ("tls", tls), ("udp", udp)):
            p.backend(name, port)
        p.write(
            "backend-grpc.yaml",
            f"""
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: grpc}}
spec:
  appProtocols: [gateway.envoyproxy.io/h2c]
  endpoints: [{{ip: {{address: 127.0.0.1, port: {rpc}}}}}]
""",
        )
        p.nats.start()
        p.start()
        await until(lambda: p.conditions("gw", "Gateway").get("Programmed", {}).get("status") == "True", 40)
        yield World(p, ports)


async def test_tcp(world: World) -> None:
    world.p.write("tcp.yaml", ROUTE.format(version="v1alpha2", kind="TCPRoute", name="tcp", section="tcp", backend="tcp", more=""))

    async def answered() -> bool:
        return await _say(world.ports["tcp"]) == b"tcp hello\n"

    await until(answered, 20)


async def test_tls_passes_through_to_the_name_that_was_asked_for(world: World) -> None:
    more = "hostnames: [secure.example.com]"
    world.p.write("tls.yaml", ROUTE.format(version="v1", kind="TLSRoute", name="tls", section="tls", backend="tls", more=more))
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def answered() -> bool:
        return await _say(world.ports["tls"], context, "secure.example.com") == b"tls hello\n"

    await until(answered, 20)
    with pytest.raises((ConnectionError, ssl.SSLError, asyncio.IncompleteReadError)):
        await _say(world.ports["tls"], context, "other.example.com")


async def test_udp(world: World) -> None:
    world.p.write("udp.yaml", ROUTE.format(version="v1alpha2", kind="UDPRoute", name="udp", section="udp", backend="udp", more=""))

    async def answered() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(s, ("127.0.0.1", world.ports["udp"]))
            await loop.sock_sendall(s, b"hello")
            async with asyncio.timeout(1):
                return await loop.sock_recv(s, 100) == b"udp hello"

    await until(answered, 20)


async def test_grpc(world: World) -> None:
    world.p.write(
        "grpc.yaml",
        """
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc}
spec:
  parentRefs: [{name: gw, sectionName: http}]
  hostnames: [grpc.example.com]
  rules:
  - matches: [{method: {service: test.Echo, method: Say}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: grpc}]
""",
    )
    options = [("grpc.default_authority", "grpc.example.com")]

    async def answered() -> bool:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{world.p.port}", options=options) as channel:
            say = channel.unary_unary("/test.Echo/Say", None, None)
            return bool(await say(b"hello", timeout=2) == b"grpc hello")

    await until(answered, 20)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.p.port}", options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/test.Echo/Other", None, None)(b"hello", timeout=2)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def _say(port: int, context: ssl.SSLContext | None = None, name: str | None = None) -> bytes:
    async with asyncio.timeout(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        try:
            writer.write(b"hello\n")
            return await reader.readexactly(10)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
