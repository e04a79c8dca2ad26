"""What asks extension servers, with servers of every bad sort: silent, slow, no gRPC at all, too talkative, gone and back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from services.xds_server.hooks.client import AT_ONCE, Client, Failed
from services.xds_server.hooks.plan import Ask, Server, ask
from shared.extension.protocol import METHODS, SERVICE, request
from shared.ir.unstructured import ExtensionServer
from shared.runtime.extensions import (
    ExtensionHooks,
    ExtensionManager,
    ExtensionService,
    ExtensionTls,
    IpEndpoint,
    SecretRef,
    XdsTranslatorHooks,
)
from shared.testing.wait import until
from shared.xds.message import build
from shared.xds.wire import framed
from tests.integration.authority import Authority, pem
from tests.unit.xds_server.builders import opened

OF = Server("ext", frozenset({"VirtualHost"}))
Answering = Callable[[bytes], Awaitable[bytes]]


def question(name: str) -> Ask:
    host = build("envoy.config.route.v3.VirtualHost", {"name": name, "domains": [name]}).SerializeToString()
    return ask(OF, "VirtualHost", name, request(host))


async def same(_: bytes) -> bytes:
    return b""


@contextlib.asynccontextmanager
async def serving(answer: Answering, port: int = 0, tls: grpc.ServerCredentials | None = None) -> AsyncIterator[int]:
    async def method(data: bytes, _: Any) -> bytes:
        return await answer(data)

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)])
    handlers = {METHODS["VirtualHost"]: grpc.unary_unary_rpc_method_handler(method)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    at = f"127.0.0.1:{port}"
    bound = server.add_insecure_port(at) if tls is None else server.add_secure_port(at, tls)
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def client(port: int, timeout: str = "500ms", tls: ExtensionTls | None = None) -> AsyncIterator[Client]:
    service = ExtensionService(ip=IpEndpoint("127.0.0.1", port), tls=tls)
    hooks = ExtensionHooks(XdsTranslatorHooks(post=("VirtualHost",)))
    made = Client(ExtensionManager(hooks=hooks, service=service, timeout=timeout), OF, opened)
    try:
        yield made
    finally:
        await made.close()


async def outcome(of: Client, name: str) -> str:
    try:
        await of.ask(question(name), question(name).request)
    except Failed as e:
        return str(e)
    return ""


async def test_of_a_silent_server_many_questions_learn_soon() -> None:
    """Not one timeout after the other: what waits in line need not find out for itself."""

    async def never(_: bytes) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(never) as port, client(port) as of:
        begin = time.monotonic()
        found = await asyncio.gather(*(outcome(of, f"h{n}") for n in range(10 * AT_ONCE)))
        assert time.monotonic() - begin < 4 * of.timeout
        assert all("DEADLINE_EXCEEDED" in each for each in found)


async def test_one_slow_question_is_no_fault_of_the_others() -> None:
    async def slow_at_one(data: bytes) -> bytes:
        if b"slow" in data:
            await asyncio.Event().wait()
        return b""

    async with serving(slow_at_one) as port, client(port) as of:
        for n in range(3):
            assert "DEADLINE_EXCEEDED" in await outcome(of, "slow")
            assert await outcome(of, f"quick{n}") == ""
        waiting = asyncio.create_task(outcome(of, "slow"))
        assert await asyncio.gather(*(outcome(of, f"h{n}") for n in range(3))) == [""] * 3
        assert "DEADLINE_EXCEEDED" in await waiting


async def test_a_server_that_comes_back_is_found() -> None:
    async with serving(same) as port, client(port) as of:
        assert await outcome(of, "a") == ""
        # nobody listens now; afterwards somebody who speaks no gRPC, then one who listens and says nothing
    async with client(port) as of:
        assert await outcome(of, "a") != ""
        writers: list[asyncio.StreamWriter] = []
        for talk in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 500, b""):

            async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: bytes = talk) -> None:
                writers.append(writer)
                writer.write(talk)

            other = await asyncio.start_server(speak, "127.0.0.1", port)
            assert await outcome(of, "a") != ""
            other.close()
            for writer in writers:
                writer.close()
        async with serving(same, port):
            await until(lambda: _well(of), 10)


async def _well(of: Client) -> bool:
    return await outcome(of, "a") == ""


@pytest.mark.parametrize("size", [5 << 20, 100 << 20], ids=["5M", "100M"])
async def test_an_answer_beyond_the_limit_is_not_taken(size: int) -> None:
    async def much(data: bytes) -> bytes:
        return framed(1, bytes(size)) if b"much" in data else b""

    async with serving(much) as port, client(port, "5s") as of:
        assert "RESOURCE_EXHAUSTED" in await outcome(of, "much")
        assert await outcome(of, "little") == ""


async def test_a_question_beyond_the_limit_is_not_sent() -> None:
    asked: list[bytes] = []

    async def note(data: bytes) -> bytes:
        asked.append(data)
        return b""

    async with serving(note) as port, client(port) as of:
        assert "maxMessageSize is 4194304" in await outcome(of, "x" * (5 << 20))
        assert asked == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"\x0a\xff", "cannot be read"),
        (b"\x0a\x03\xff\xff\xff", "cannot be read"),
        (b"not protobuf at all", "cannot be read"),
        # a Cluster's bytes where a VirtualHost belongs
        (framed(1, framed(1, b"a") + b"\x10\x03" + framed(4, b"\x08\x05")), "VirtualHost"),
        (framed(1, framed(1, b"b") + framed(2, b"b")), "asked about 'a', answered about 'b'"),
        (framed(1, b""), "asked about 'a'"),
    ],
)
async def test_what_is_no_answer_is_refused_by_name(answer: bytes, fault: str) -> None:
    async def wrong(_: bytes) -> bytes:
        return answer

    async with serving(wrong) as port, client(port) as of:
        assert fault in await outcome(of, "a")


def credentials(authority: Authority, client: Authority | None) -> ExtensionServer:
    """Of a client that trusts one authority, and shows a certificate of the other."""
    made = ExtensionServer(name="ext", ca_certificate=_base64(pem(authority.certificate)))
    if client is None:
        return made
    shown, key = client.issue("headgate")
    return replace(made, certificate=_base64(shown), private_key=f"sealed:{key}")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_certificates_that_are_missing_wrong_and_changed() -> None:
    authority, clients, stranger = Authority("servers"), Authority("clients"), Authority("stranger")
    certificate, key = authority.issue("localhost", "127.0.0.1")
    tls = grpc.ssl_server_credentials([(key.encode(), certificate.encode())], pem(clients.certificate).encode(), require_client_auth=True)
    refs = ExtensionTls(SecretRef("ca"), SecretRef("client"))
    async with serving(same, tls=tls) as port, client(port, "2s", refs) as of:
        assert "not known yet" in await outcome(of, "a")
        of.use((ExtensionServer(name="ext", fault="secret default/ca does not exist"),))
        assert await outcome(of, "a") == "secret default/ca does not exist"
        for wrong in (credentials(authority, None), credentials(authority, stranger), credentials(stranger, clients)):
            of.use((wrong,))
            assert "UNAVAILABLE" in await outcome(of, "a")
        of.use((credentials(authority, clients),))
        assert await outcome(of, "a") == ""
        of.use(())
        assert await outcome(of, "a") == "", "a Gateway that has not been told of them takes nothing away"
