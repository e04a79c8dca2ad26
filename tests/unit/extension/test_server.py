"""The kit for extension servers, over a real connection: every hook, health, TLS with both sides' certificates, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from shared.extension.contexts import Object, RouteContext, Translation, TranslationContext
from shared.extension.protocol import METHODS, SERVICE
from shared.extension.recorded import ExtensionClient, Recorded
from shared.extension.server import Extension, ExtensionServer, Tls, handle
from shared.xds.extension_protocol import PACKAGE
from shared.xds.message import build, decode
from tests.integration.authority import Authority, pem


class Mine(Extension):
    async def route(self, route: Any, context: RouteContext) -> Any:
        route.stat_prefix = f"{context.hostnames[0]}/{context.resources[0].spec['value']}/{context.policies[0].name}"
        return route

    async def virtual_host(self, host: Any) -> Any:
        return None

    async def cluster(self, cluster: Any, context: Any) -> Any:
        raise ValueError("no such bucket")

    async def translate(self, resources: Translation, context: TranslationContext) -> Translation:
        return resources._replace(secrets=[])


def request(hook: str, **fields: Any) -> bytes:
    made: bytes = build(f"{PACKAGE}.{METHODS[hook]}Request", fields).SerializeToString()
    return made


def route_request() -> bytes:
    objects = [{"unstructured_bytes": b'{"kind":"Filter","spec":{"value":"v"}}'}]
    policies = [{"unstructured_bytes": b'{"metadata":{"name":"p"}}'}]
    context = {"hostnames": ["h"], "extension_resources": objects, "extension_policies": policies}
    return request("Route", route={"name": "r"}, post_route_context=context)


async def asked(channel: grpc.aio.Channel, hook: str, data: bytes) -> Any:
    answer = await channel.unary_unary(f"/{SERVICE}/{METHODS[hook]}", None, None)(data, timeout=5)
    return decode(f"{PACKAGE}.{METHODS[hook]}Response", answer)


async def test_hooks_health_and_errors() -> None:
    async with ExtensionServer(Mine(), "127.0.0.1:0") as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert (await asked(channel, "Route", route_request())).route.stat_prefix == "h/v/p"
        assert not (await asked(channel, "VirtualHost", request("VirtualHost", virtual_host={"name": "v"}))).HasField("virtual_host")
        found = await asked(channel, "Translation", request("Translation", clusters=[{"name": "c"}], secrets=[{"name": "s"}]))
        assert ([c.name for c in found.clusters], list(found.secrets)) == (["c"], [])
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await asked(channel, "Cluster", request("Cluster", cluster={"name": "c"}))
        assert e.value.code() is grpc.StatusCode.INTERNAL
        assert "no such bucket" in (e.value.details() or "")
        with pytest.raises(grpc.aio.AioRpcError) as e:
            await asked(channel, "Endpoints", request("Endpoints"))
        assert e.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert await channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"", timeout=5) == b"\x08\x01"


async def test_the_client_for_tests() -> None:
    recorded = Recorded("VirtualHost", {"virtualHost": {"name": "v"}})
    async with ExtensionServer(Mine(), "127.0.0.1:0") as server, ExtensionClient(f"127.0.0.1:{server.port}") as client:
        assert await client.healthy()
        assert not (await client.ask(recorded)).HasField("virtual_host")


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    at = f"unix:{tmp_path}/s"
    async with ExtensionServer(Mine(), at), grpc.aio.insecure_channel(at) as channel:
        assert (await asked(channel, "Route", route_request())).route.stat_prefix == "h/v/p"


async def test_with_client_certificates(tmp_path: Path) -> None:
    authority = Authority()
    ca, own, client = pem(authority.certificate), authority.issue("localhost"), authority.issue("client")
    for name, text in (("server.crt", own[0]), ("server.key", own[1]), ("ca.crt", ca)):
        (tmp_path / name).write_text(text)
    tls = Tls(tmp_path / "server.crt", tmp_path / "server.key", tmp_path / "ca.crt")
    async with ExtensionServer(Mine(), "localhost:0", tls) as server:
        known = grpc.ssl_channel_credentials(ca.encode(), client[1].encode(), client[0].encode())
        async with grpc.aio.secure_channel(f"localhost:{server.port}", known) as channel:
            assert (await asked(channel, "Route", route_request())).route.stat_prefix == "h/v/p"
        unknown = grpc.ssl_channel_credentials(ca.encode())
        async with grpc.aio.secure_channel(f"localhost:{server.port}", unknown) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await asked(channel, "Route", route_request())


async def test_a_recorded_request_without_a_network() -> None:
    answer = decode(f"{PACKAGE}.PostRouteModifyResponse", await handle(Mine(), "Route", route_request()))
    assert answer.route.stat_prefix == "h/v/p"
    with pytest.raises(ValueError, match="no JSON object"):
        await handle(Mine(), "Route", request("Route", post_route_context={"extension_resources": [{"unstructured_bytes": b"[]"}]}))


def test_objects_read_like_objects() -> None:
    of = Object({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "namespace": "s"}})
    assert (of.api_version, of.kind, of.name, of.namespace, of.spec) == ("a/v1", "K", "n", "s", {})
