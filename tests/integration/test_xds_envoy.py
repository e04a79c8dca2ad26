"""xds_server with a real Envoy: what is told is served, changes lose no request, and what Envoy refuses costs only itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from services.xds_server.server import XdsServer
from services.xds_server.settings import XdsSettings
from shared.core.refs import GatewayRef
from shared.ir.base import IR, encode
from shared.ir.destination import Destination
from shared.ir.gateway import GatewayShard, ReadyListener
from shared.ir.http import RouteOrder
from shared.ir.match import AddHeader
from shared.ir.shards import GATEWAY, http_key, tcp_key, tcp_route_key
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard
from shared.ir.tls import ListenerTls, TlsCertificate
from shared.testing.envoy import Envoy, running_envoy
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.unit.xds_server import builders as b

EG = GatewayRef("default", "eg")


class Backend:
    """Answers every request with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(self.name), self.name.encode()))
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Backend]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


class Rig:
    """An xds_server, the shards that it was last told, and a client for what Envoy serves."""

    def __init__(self, server: XdsServer, http: httpx.AsyncClient, port: int) -> None:
        self.server, self.http, self.port = server, http, port
        self.shards: dict[str, IR] = {}
        self.version = 0
        self.ads_port = 0

    def publish(self, changed: dict[str, IR | None]) -> None:
        self.version += 1
        for key, shard in changed.items():
            if shard is None:
                self.shards.pop(key, None)
            else:
                self.shards[key] = shard
        data = {k: encode(s) if s is not None else None for k, s in changed.items()}
        self.server.update(EG, self.version, "test", data, full=self.version == 1)

    async def get(self, path: str = "/", host: str = "any.example.com") -> httpx.Response:
        return await self.http.get(f"http://127.0.0.1:{self.port}{path}", headers={"host": host})

    async def answers(self, text: str, path: str = "/", host: str = "any.example.com") -> None:
        """Until a request is answered with this status or body."""

        async def holds() -> bool:
            answer = await self.get(path, host)
            return text in (str(answer.status_code), answer.text)

        await until(holds)

    async def acked(self) -> None:
        """Until a proxy has acknowledged the last version."""

        async def holds() -> bool:
            status = self.server.status(EG)
            return bool(status.proxies) and all(v == self.version for v in status.proxies.values())

        await until(holds)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    server = XdsServer(XdsSettings(), b.opened)
    async with httpx.AsyncClient(timeout=5) as http:
        made = Rig(server, http, free_port())
        made.ads_port = await server.start("127.0.0.1:0")
        yield made
        await server.stop(0)


@pytest.fixture
async def blue() -> AsyncIterator[Backend]:
    async with Backend("blue").running() as backend:
        yield backend


@pytest.fixture
async def green() -> AsyncIterator[Backend]:
    async with Backend("green").running() as backend:
        yield backend


def to(*backends: Backend) -> IR:
    return b.backend(*(("127.0.0.1", each.port) for each in backends))


def one_route(rig: Rig, backend: Backend) -> dict[str, IR | None]:
    return {
        GATEWAY: GatewayShard(http_listeners=(b.LISTENER,)),
        b.LISTENER: b.listener(rig.port),
        b.route_key("app"): b.route("app"),
        b.backend_key("app"): to(backend),
    }


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_a_route_is_served_changed_and_removed(rig: Rig, blue: Backend, green: Backend, delta: bool) -> None:
    rig.publish(one_route(rig, blue))
    async with running_envoy(rig.ads_port, delta=delta) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        rig.publish({b.backend_key("app"): to(green)})
        await rig.answers("green")
        rig.publish({b.route_key("app"): b.route("app", path="/new")})
        await rig.answers("404")
        await rig.answers("green", path="/new/page")
        await rig.acked()
        rig.publish({b.route_key("app"): None})
        await rig.answers("404", path="/new/page")
        await rig.acked()
        clusters = (await envoy.config_dump())["ClustersConfigDump"].get("dynamic_active_clusters", [])
        assert clusters == []


async def test_without_endpoints_503_and_with_them_again_200(rig: Rig, blue: Backend) -> None:
    rig.publish(one_route(rig, blue))
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        rig.publish({b.backend_key("app"): b.backend()})
        await rig.answers("503")
        rig.publish({b.backend_key("app"): to(blue)})
        await rig.answers("blue")


async def test_the_ready_listener_answers(rig: Rig) -> None:
    ready = free_port()
    rig.publish({GATEWAY: GatewayShard(ready_listener=ReadyListener(address="127.0.0.1", port=ready, path="/ready", ip_family="IPv4"))})
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        assert (await rig.http.get(f"http://127.0.0.1:{ready}/ready")).status_code == 200


async def test_moving_a_route_to_new_clusters_under_load_loses_no_request(rig: Rig, blue: Backend, green: Backend) -> None:
    rig.publish(one_route(rig, blue))
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        seen: list[int] = []
        done = asyncio.Event()

        async def load() -> None:
            while not done.is_set():
                seen.append((await rig.get()).status_code)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for n in range(15):
            # each time another object serves the same requests: new cluster in, old cluster out
            name, backend = f"app{n}", (blue, green)[n % 2]
            old = b.route_key(f"app{n - 1}" if n else "app")
            rig.publish({b.backend_key(name): to(backend), b.route_key(name): b.route(name), old: None})
            await rig.acked()
        done.set()
        await asyncio.gather(*loads)
        assert set(seen) == {200}
        assert len(seen) > 100


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "sotw"])
async def test_what_envoy_refuses_costs_its_route_and_names_it(rig: Rig, blue: Backend, delta: bool) -> None:
    shards = one_route(rig, blue)
    for i in range(6):
        shards[b.route_key(f"r{i}")] = b.route(f"r{i}", host=f"h{i}.example.com", backend="app")
    rig.publish(shards)
    async with running_envoy(rig.ads_port, delta=delta) as envoy:
        await envoy.wait_live()
        await rig.answers("blue", host="h3.example.com")
        await rig.acked()
        # ':path' must not be changed by header edits: only Envoy knows
        bad = b.route("r3", host="h3.example.com", backend="app")
        edit = AddHeader(name=":path", value=("/x",))
        bad = replace(bad, routes=tuple(replace(r, add_request_headers=(edit,)) for r in bad.routes))
        fresh = replace(bad, routes=tuple(replace(r, hostname="new.example.com", name="new") for r in bad.routes))
        changes: dict[str, IR | None] = {b.route_key(f"r{i}"): b.route(f"r{i}", f"h{i}.example.com", "/v2", "app") for i in range(6)}
        begin = asyncio.get_running_loop().time()
        rig.publish(changes | {b.route_key("r3"): bad, b.route_key("new"): fresh})
        for i in (0, 1, 2, 4, 5):
            await rig.answers("blue", "/v2", host=f"h{i}.example.com")
            await rig.answers("404", host=f"h{i}.example.com")
        await rig.answers("blue", host="h3.example.com")
        await rig.answers("500", host="new.example.com")
        blamed = {
            "gateway.networking.k8s.io/HTTPRoute/default/r3",
            "gateway.networking.k8s.io/HTTPRoute/default/new",
        }

        async def named() -> bool:
            return {o for r in rig.server.status(EG).rejections for o in r.objects} == blamed

        await until(named)
        assert asyncio.get_running_loop().time() - begin < 2
        rig.publish({b.route_key("r3"): b.route("r3", "h3.example.com", "/v3", "app"), b.route_key("new"): None})
        await rig.answers("blue", "/v3", host="h3.example.com")
        await rig.acked()
        assert rig.server.status(EG).rejections == ()


async def test_a_port_that_is_taken_costs_its_listener_alone(rig: Rig, blue: Backend, green: Backend) -> None:
    keys = (b.LISTENER, http_key("other"))
    taken: dict[str, IR | None] = {
        GATEWAY: GatewayShard(http_listeners=keys),
        keys[1]: b.listener(green.port, "other"),
        b.route_key("else", "other"): b.route("else", backend="app"),
    }
    rig.publish(one_route(rig, blue) | taken)
    async with running_envoy(rig.ads_port) as envoy:
        await rig.answers("blue")

        async def named() -> bool:
            return [r.resource for r in rig.server.status(EG).rejections] == ["default/eg/other"]

        await until(named)
        (rejection,) = rig.server.status(EG).rejections
        assert rejection.objects == ("gateway.networking.k8s.io/Gateway/default/eg",)
        assert "in use" in rejection.detail
        await envoy.wait_live()
        before = (await envoy.stats("listener_manager.listener_"))["listener_manager.listener_modified"]
        rig.publish({b.backend_key("app"): to(green)})
        await rig.answers("green")
        rig.publish({keys[1]: b.listener(free_port(), "other")})
        await rig.acked()
        assert rig.server.status(EG).rejections == ()
        assert (await envoy.stats("listener_manager.listener_"))["listener_manager.listener_modified"] == before


async def test_a_port_that_comes_free_is_served_without_any_change(rig: Rig, blue: Backend) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        rig.port = holder.getsockname()[1]
        rig.publish(one_route(rig, blue))
        async with running_envoy(rig.ads_port) as envoy:
            await envoy.wait_live()

            async def refused() -> bool:
                return [r.objects for r in rig.server.status(EG).rejections] == [("gateway.networking.k8s.io/Gateway/default/eg",)]

            await until(refused)
            await rig.acked()
            holder.close()

            async def healed() -> bool:
                return not rig.server.status(EG).rejections

            await until(healed)
            await rig.answers("blue")


async def test_listeners_swap_their_ports(rig: Rig, blue: Backend, green: Backend) -> None:
    keys, other = (b.LISTENER, http_key("other")), free_port()
    rig.publish(
        one_route(rig, blue)
        | {
            GATEWAY: GatewayShard(http_listeners=keys),
            keys[1]: b.listener(other, "other"),
            b.route_key("else", "other"): b.route("else"),
            b.backend_key("else"): to(green),
        }
    )
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        rig.publish({keys[0]: b.listener(other), keys[1]: b.listener(rig.port, "other")})
        await rig.acked()
        await rig.answers("green")
        rig.port = other
        await rig.answers("blue")
        assert rig.server.status(EG).rejections == ()


async def test_bytes_pass_through_a_tcp_listener(rig: Rig, blue: Backend, green: Backend) -> None:
    destination = Destination(name="tcproute/default/app/rule/0", settings=(replace(b.setting("app", "app"), protocol="TCP"),))
    key = tcp_key("tcp")
    rig.publish(
        {
            GATEWAY: GatewayShard(tcp_listeners=(key,)),
            key: TcpListener(name="default/eg/tcp", address="127.0.0.1", port=rig.port),
            tcp_route_key("tcp", "TCPRoute", "default", "app"): TcpRouteShard(
                order=RouteOrder(kind_rank=1, name="app"), route=TcpRoute(name="app", destination=destination)
            ),
            b.backend_key("app"): to(blue),
        }
    )
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        rig.publish({b.backend_key("app"): to(green)})
        async with httpx.AsyncClient() as fresh:
            await until(lambda: _body(fresh, rig.port, "green"))


async def _body(http: httpx.AsyncClient, port: int, text: str) -> bool:
    return (await http.get(f"http://127.0.0.1:{port}/", headers={"connection": "close"})).text == text


async def test_a_restarted_server_sends_nothing_that_envoy_has(rig: Rig, blue: Backend) -> None:
    rig.publish(one_route(rig, blue))
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()
        await rig.answers("blue")
        await rig.acked()
        before = await updates(envoy)
        assert before["cluster_manager.cds.update_success"] > 0
        await rig.server.stop(0)
        assert (await rig.get()).text == "blue"
        again = XdsServer(XdsSettings(), b.opened)
        rig.server = again
        again.update(EG, rig.version, "test", {k: encode(s) for k, s in rig.shards.items()}, full=True)
        assert await again.start(f"127.0.0.1:{rig.ads_port}") == rig.ads_port
        await rig.acked()
        assert await updates(envoy) == before
        rig.publish({b.route_key("app"): b.route("app", path="/new")})
        await rig.answers("404")
        await again.stop(0)


async def updates(envoy: Envoy) -> dict[str, int]:
    """Updates that Envoy has taken, per type."""
    names = ("cluster_manager.cds", "listener_manager.lds", "http.http", "cluster.httproute")
    stats = {k: v for n in names for k, v in (await envoy.stats(n)).items()}
    return {k: v for k, v in stats.items() if k.endswith((".update_success", ".update_rejected", "config_reload"))}


async def test_a_gateway_that_is_not_known_yet_answers_nothing_and_a_removed_one_is_kept(rig: Rig, blue: Backend) -> None:
    async with running_envoy(rig.ads_port) as envoy:

        async def connected() -> bool:
            return rig.server.streams == 1

        await until(connected)
        assert (await envoy.get("/ready")).strip() != "LIVE"
        rig.publish(one_route(rig, blue))
        await envoy.wait_live()
        await rig.answers("blue")
        await rig.acked()
        rig.server.remove(EG)
        assert (await rig.get()).text == "blue"
        rig.version = 0
        rig.publish(one_route(rig, blue) | {b.route_key("app"): b.route("app", path="/again")})
        await rig.answers("blue", path="/again")
        await rig.answers("404")


def certificate(name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None) -> tuple[Any, Any]:
    """A certificate and its key; self-signed, and able to sign, without an issuer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def listener_tls(name: str) -> ListenerTls:
    cert, key = certificate(name)
    sealed = "sealed:" + key_pem(key).decode()
    return ListenerTls(
        certificates=(TlsCertificate(name="default/cert", certificate=base64.b64encode(pem(cert)).decode(), private_key=sealed),)
    )


async def served_name(port: int, host: str) -> str:
    """The common name of the certificate that is shown for that SNI."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    name = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return str(name)


async def test_an_https_listener_has_its_certificate_by_sds_and_takes_a_new_one(rig: Rig, blue: Backend) -> None:
    rig.publish(
        one_route(rig, blue) | {b.LISTENER: b.listener(rig.port, tls=listener_tls("one.example.com"), hostnames=("*.example.com",))}
    )
    async with running_envoy(rig.ads_port) as envoy:
        await envoy.wait_live()

        async def shows(name: str) -> bool:
            return await served_name(rig.port, "one.example.com") == name

        await until(lambda: shows("one.example.com"))
        rig.publish({b.LISTENER: b.listener(rig.port, tls=listener_tls("two.example.com"), hostnames=("*.example.com",))})
        await until(lambda: shows("two.example.com"))


async def test_mtls_towards_envoy(tmp_path: Path, blue: Backend) -> None:
    ca = certificate("headgate-ca")
    names = {}
    for who in ("server", "client"):
        cert, key = certificate("localhost", ca)
        for what, data in (("crt", pem(cert)), ("key", key_pem(key))):
            names[who, what] = str(tmp_path / f"{who}.{what}")
            Path(names[who, what]).write_bytes(data)
    ca_file = tmp_path / "ca.crt"
    ca_file.write_bytes(pem(ca[0]))
    server = XdsServer(
        XdsSettings(certificate=names["server", "crt"], private_key=names["server", "key"], client_ca=str(ca_file)), b.opened
    )
    async with httpx.AsyncClient(timeout=5) as http:
        rig = Rig(server, http, free_port())
        rig.ads_port = await server.start("127.0.0.1:0")
        rig.publish(one_route(rig, blue))
        tls = {"certificate": names["client", "crt"], "private_key": names["client", "key"], "ca": str(ca_file)}
        async with running_envoy(rig.ads_port, tls=tls) as envoy:
            await envoy.wait_live()
            await rig.answers("blue")
        async with running_envoy(rig.ads_port) as plain:

            async def refused() -> bool:
                return (await plain.stats("cluster.xds")).get("cluster.xds.upstream_cx_total", 0) > 1

            await until(refused)
            assert server.streams == 0
        await server.stop(0)


async def test_plaintext_only_on_loopback() -> None:
    with pytest.raises(ValueError, match="loopback"):
        await XdsServer(XdsSettings(), b.opened).start("0.0.0.0:0")
