"""ClientTrafficPolicy with real clients: what a listener does with them, through the whole pipeline and a real Envoy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from shared.testing.servers import http_server
from shared.testing.wait import until
from tests.integration.authority import Authority, pem
from tests.integration.pipeline import Pipeline, free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "secure.example.com"
REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)
"""How a client learns that a handshake or connection is not wanted."""


@contextlib.asynccontextmanager
async def mirror() -> AsyncIterator[int]:
    """A backend that answers with what it was asked: path and headers as they came. Gives its port."""

    async def answer(request: web.Request) -> web.Response:
        with contextlib.suppress(ConnectionError):
            await request.read()
        headers = [[k.decode(), v.decode()] for k, v in request.raw_headers]
        return web.json_response({"path": request.raw_path, "headers": headers}, headers={"x-secret": "kept"})

    async with http_server(answer) as port:
        yield port


class World:
    """A Gateway with an HTTP, an HTTPS and a TCP listener, all of which lead to a backend that mirrors."""

    def __init__(self, p: Pipeline, folder: Path, tcp_port: int) -> None:
        self.p = p
        self.folder = folder
        self.tcp_port = tcp_port
        self.authority = Authority()

    def policy(self, section: str, spec: str, name: str = "policy") -> None:
        self.p.write(
            f"{name}.yaml",
            f"""
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: {name}}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: gw, sectionName: {section}}}]
{textwrap.indent(textwrap.dedent(spec).strip(), "  ")}
""",
        )

    def secret(self, name: str, kind: str = "Secret", **data: str) -> None:
        of_type = "kubernetes.io/tls" if "tls_key" in data else "Opaque"
        made: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}}
        values = {key.replace("_", "."): value for key, value in data.items()}
        made |= {"type": of_type, "stringData": values} if kind == "Secret" else {"data": values}
        self.p.write(f"{kind}-{name}.yaml", json.dumps(made))

    async def get(self, path: str = "/", **headers: str) -> httpx.Response:
        """Over a connection of its own, so that it is always the newest listener that answers."""
        async with httpx.AsyncClient(timeout=5) as client:
            return await client.get(f"http://127.0.0.1:{self.p.port}{path}", headers=headers)

    async def seen(self, path: str = "/", **headers: str) -> dict[str, str]:
        """The headers that the backend got."""
        answer = await self.get(path, **headers)
        return {k.lower(): v for k, v in answer.json()["headers"]} if answer.status_code == 200 else {}

    async def raw(self, *parts: bytes, port: int = 0, tls: ssl.SSLContext | None = None) -> bytes:
        """Everything that comes back until the other side closes."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port or self.p.port, ssl=tls, server_hostname=HOST if tls is not None else None
        )
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(*REFUSED):
                await writer.wait_closed()

    async def over_tls(self, context: ssl.SSLContext) -> tuple[bytes, str | None, str | None]:
        """Answer to a request over TLS, the protocol agreed on, and the version of TLS."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.p.tls_port, ssl=context, server_hostname=HOST)
        try:
            secure = writer.get_extra_info("ssl_object")
            writer.write(f"GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
            async with asyncio.timeout(10):
                return await reader.read(), secure.selected_alpn_protocol(), secure.version()
        finally:
            writer.close()
            with contextlib.suppress(*REFUSED):
                await writer.wait_closed()

    async def lets_in(self, context: ssl.SSLContext) -> bool:
        try:
            return b"200 OK" in (await self.over_tls(context))[0]
        except REFUSED:
            return False


def request(path: str = "/", *, version: str = "1.1", headers: str = "", close: bool = True) -> bytes:
    host = "host: a.example.com\r\n" if version == "1.1" else ""
    return f"GET {path} HTTP/{version}\r\n{host}{headers}{'connection: close' if close else 'x: y'}\r\n\r\n".encode()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("certificates")
    async with mirror() as port, Pipeline(tmp_path_factory.mktemp("client")) as p:
        world = World(p, folder, free_port())
        p.gateway(
            listeners=f"""
  - {{name: https, protocol: HTTPS, port: {p.tls_port}, tls: {{certificateRefs: [{{name: server}}]}}}}
  - {{name: tcp, protocol: TCP, port: {world.tcp_port}}}
"""
        )
        certificate, key = world.authority.issue(HOST)
        world.secret("server", tls_crt=certificate, tls_key=key)
        p.backend("mirror", port)
        p.route("mirror", "mirror")
        p.write(
            "tcp.yaml",
            """
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: tcp}
spec:
  parentRefs: [{name: gw, sectionName: tcp}]
  rules: [{backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: mirror}]}]
""",
        )
        p.nats.start()
        p.start()

        async def up() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return (await world.get()).status_code == 200 and await world.lets_in(world.authority.client(folder))
            return False

        await until(up, 40)
        yield world


async def test_headers_on_the_way_in_and_out(world: World) -> None:
    world.policy(
        "http",
        """
        headers:
          requestID: Disable
          withUnderscoresAction: DropHeader
          maxRequestHeaderLimit: 2Ki
          earlyRequestHeaders:
            set: [{name: x-early, value: set}]
            remove: [x-gone]
            removeOnMatch: [{type: Prefix, value: x-private-}]
          lateResponseHeaders:
            addIfAbsent: [{name: x-late, value: added}]
            remove: [x-secret]
        """,
    )
    sent = {"x-gone": "1", "x-private-a": "1", "with_underscore": "1", "x-kept": "1"}
    await until(lambda: _has(world.seen("/", **sent), "x-early"), 20)
    seen = await world.seen("/", **sent)
    assert seen["x-kept"] == "1"
    assert not {"x-gone", "x-private-a", "with_underscore", "x-request-id"} & seen.keys()
    answer = await world.get()
    assert answer.headers["x-late"] == "added"
    assert "x-secret" not in answer.headers
    assert (await world.get("/", **{"x-long": "x" * 3000})).status_code == 431


async def _has(headers: Any, name: str) -> bool:
    return name in await headers


async def test_paths_are_taken_as_they_are_asked_for(world: World) -> None:
    world.policy("http", "path: {disableMergeSlashes: true, escapedSlashesAction: RejectRequest}")

    async def answered() -> bool:
        return b" 400 " in await world.raw(request("/a%2Fb"))

    await until(answered, 20)
    assert b'"path": "/a//b"' in await world.raw(request("/a//b"))
    world.policy("http", "path: {escapedSlashesAction: UnescapeAndForward}")

    async def forwarded() -> bool:
        return b'"path": "/a/b"' in await world.raw(request("/a%2F/b"))

    await until(forwarded, 20)


async def test_who_does_not_finish_asking_is_not_waited_for(world: World) -> None:
    world.policy("http", "timeout: {http: {requestReceivedTimeout: 200ms}}")
    half = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf"

    async def timed_out() -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.5):
                return b" 408 " in await world.raw(half)
        return False

    await until(timed_out, 20)
    world.policy("tcp", "timeout: {tcp: {idleTimeout: 200ms}}")

    async def closed() -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.5):
                return b" 200 " in await world.raw(request(close=False), port=world.tcp_port)
        return False

    await until(closed, 20)


async def test_who_the_client_is(world: World) -> None:
    world.policy("http", "clientIPDetection: {xForwardedFor: {numTrustedHops: 1, disableXForwardedForAppend: true}}")

    async def unchanged() -> bool:
        return (await world.seen("/", **{"x-forwarded-for": "1.2.3.4"})).get("x-forwarded-for") == "1.2.3.4"

    await until(unchanged, 20)
    world.policy("http", "clientIPDetection: {customHeader: {name: x-client, failClosed: true}}")

    async def asked() -> bool:
        return (await world.get()).status_code == 403

    await until(asked, 20)
    assert (await world.get("/", **{"x-client": "1.2.3.4"})).status_code == 200


async def test_addresses_by_the_proxy_protocol(world: World) -> None:
    world.policy("http", "proxyProtocol: {}")
    header = b"PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\n"

    async def needed() -> bool:
        with contextlib.suppress(*REFUSED):
            return await world.raw(request()) == b""
        return True

    await until(needed, 20)
    assert b"1.2.3.4" in await world.raw(header + request())
    world.policy("http", "proxyProtocol: {optional: true}")

    async def optional() -> bool:
        with contextlib.suppress(*REFUSED):
            return b" 200 " in await world.raw(request())
        return False

    await until(optional, 20)
    assert b"1.2.3.4" in await world.raw(header + request())


@pytest.mark.parametrize("section", ["http", "tcp"])
async def test_only_so_many_connections(world: World, section: str) -> None:
    port = world.p.port if section == "http" else world.tcp_port
    world.policy(section, "connection: {connectionLimit: {value: 1}}")

    async def limited() -> bool:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        try:
            with contextlib.suppress(TimeoutError, *REFUSED):
                async with asyncio.timeout(0.5):
                    return await world.raw(port=port) == b""
            return False
        finally:
            first.close()
            with contextlib.suppress(*REFUSED):
                await first.wait_closed()

    await until(limited, 20)
    world.policy(section, "connection: {}")

    async def free() -> bool:
        return not await limited()

    await until(free, 20)


async def test_health_checks_are_answered_by_the_proxy_itself(world: World) -> None:
    world.policy("http", "healthCheck: {path: /alive}")

    async def own() -> bool:
        answer = await world.get("/alive")
        return answer.status_code == 200 and answer.text == ""

    await until(own, 20)
    assert (await world.get("/other")).json()["path"] == "/other"


async def test_http_1(world: World) -> None:
    assert b" 426 " in await world.raw(request(version="1.0"))
    world.policy("http", "http1: {http10: {}, preserveHeaderCase: true}")

    async def taken() -> bool:
        return b" 200 " in await world.raw(request(version="1.0", headers="host: a\r\n"))

    await until(taken, 20)
    assert b'"X-CaSe"' in await world.raw(request(headers="X-CaSe: 1\r\n"))


async def test_http_2_streams_at_once(world: World) -> None:
    world.policy("http", "http2: {maxConcurrentStreams: 7, initialStreamWindowSize: 128Ki}")

    async def settings() -> dict[int, int]:
        """What the proxy says first to a client that speaks HTTP/2 without asking."""
        reader, writer = await asyncio.open_connection("127.0.0.1", world.p.port)
        try:
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            async with asyncio.timeout(5):
                head = await reader.readexactly(9)
                body = await reader.readexactly(int.from_bytes(head[:3], "big"))
        finally:
            writer.close()
            with contextlib.suppress(*REFUSED):
                await writer.wait_closed()
        return {int.from_bytes(body[i : i + 2], "big"): int.from_bytes(body[i + 2 : i + 6], "big") for i in range(0, len(body), 6)}

    async def told() -> bool:
        found = await settings()
        return (found.get(3), found.get(4)) == (7, 131072)

    await until(told, 20)


async def test_a_policy_that_cannot_be_carried_out_lets_nobody_in(world: World) -> None:
    world.policy("http", "timeout: {http: {idleTimeout: soon}}")

    async def refused() -> bool:
        return (await world.get()).status_code == 500

    await until(refused, 20)
    status = world.p.status("gateway.envoyproxy.io", "ClientTrafficPolicy", "policy")
    (accepted,) = (c for a in status["ancestors"] for c in a["conditions"] if c["type"] == "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "Invalid")
    world.policy("http", "timeout: {}")

    async def mended() -> bool:
        return (await world.get()).status_code == 200

    await until(mended, 20)


async def test_versions_ciphers_and_protocols_of_tls(world: World) -> None:
    old = world.authority.client(world.folder, maximum_version=ssl.TLSVersion.TLSv1_2)
    new = world.authority.client(world.folder)
    new.set_alpn_protocols(["h2", "http/1.1"])
    assert await world.lets_in(old)
    world.policy("https", "tls: {minVersion: '1.3', alpnProtocols: [http/1.1]}")

    async def newer() -> bool:
        return not await world.lets_in(old)

    await until(newer, 20)
    _, protocol, version = await world.over_tls(new)
    assert (protocol, version) == ("http/1.1", "TLSv1.3")
    world.policy("https", "tls: {maxVersion: '1.2', ciphers: [ECDHE-ECDSA-CHACHA20-POLY1305]}")

    async def older() -> bool:
        return (await world.over_tls(world.authority.client(world.folder)))[2] == "TLSv1.2"

    await until(older, 20)
    old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert not await world.lets_in(old)


async def test_settings_that_envoy_refuses_are_told_and_the_former_ones_go_on(world: World) -> None:
    world.policy("https", "tls: {maxVersion: '1.2'}")

    async def older() -> bool:
        return (await world.over_tls(world.authority.client(world.folder)))[2] == "TLSv1.2"

    await until(older, 20)
    world.policy("https", "tls: {ecdhCurves: [no-such-curve]}")

    def told() -> bool:
        status = world.p.status("gateway.envoyproxy.io", "ClientTrafficPolicy", "policy")
        found = [c for a in status["ancestors"] for c in a["conditions"] if c["type"] == "Programmed"]
        return [(c["status"], c["reason"]) for c in found] == [("False", "Invalid")]

    await until(told, 20)
    assert await older()


async def test_certificates_of_clients(world: World) -> None:
    authority, folder = world.authority, world.folder
    stranger, good, revoked = Authority("stranger").issue("client"), authority.issue("good.client"), authority.issue("bad.client")
    authority.revoke(revoked[0])
    world.secret("authority", "ConfigMap", ca_crt=pem(authority.certificate))
    world.secret("revoked", ca_crl=authority.revoked())
    world.policy(
        "https",
        """
        tls:
          clientValidation:
            caCertificateRefs: [{kind: ConfigMap, name: authority}]
            subjectAltNames: {dnsNames: [{type: Suffix, value: .client}]}
            crl: {refs: [{name: revoked}]}
        headers: {xForwardedClientCert: {mode: SanitizeSet, certDetailsToAdd: [DNS]}}
        """,
    )

    async def guarded() -> bool:
        return not await world.lets_in(authority.client(folder))

    await until(guarded, 20)
    answer, _, _ = await world.over_tls(authority.client(folder, good))
    assert b"DNS=good.client" in answer
    for pair in (stranger, revoked, authority.issue("good.elsewhere")):
        assert not await world.lets_in(authority.client(folder, pair))
    world.policy("https", "tls: {clientValidation: {mode: Request}}")

    async def only_asked() -> bool:
        return await world.lets_in(authority.client(folder))

    await until(only_asked, 20)
    assert await world.lets_in(authority.client(folder, stranger))


async def test_http_3_beside_the_others(world: World) -> None:
    world.policy("https", "http3: {}")

    async def told() -> bool:
        answer = (await world.over_tls(world.authority.client(world.folder)))[0].decode()
        return f'alt-svc: h3=":{world.p.tls_port}"' in answer

    await until(told, 20)
    async with asyncio.timeout(20):
        answer, body = await http3_get(world.p.tls_port, HOST, pem(world.authority.certificate))
    assert answer[b":status"] == b"200"
    assert json.loads(body)["path"] == "/three"


async def http3_get(port: int, host: str, authority: str) -> tuple[dict[bytes, bytes], bytes]:
    """Headers and body that a client over QUIC gets."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=host, cadata=authority.encode())
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=Http3Client) as client:
        assert isinstance(client, Http3Client)
        return await client.get(host, "/three")


class Http3Client(QuicConnectionProtocol):
    """Asks once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._done = asyncio.get_running_loop().create_future()

    async def get(self, host: str, path: str) -> tuple[dict[bytes, bytes], bytes]:
        stream = self._quic.get_next_available_stream_id()
        names = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", host.encode()), (b":path", path.encode())]
        self._http.send_headers(stream, names, end_stream=True)
        self.transmit()
        await self._done
        return self._headers, self._body

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self._http.handle_event(event):
            if isinstance(each, HeadersReceived):
                self._headers |= dict(each.headers)
            elif isinstance(each, DataReceived):
                self._body += each.data
            if isinstance(each, HeadersReceived | DataReceived) and each.stream_ended and not self._done.done():
                self._done.set_result(None)
