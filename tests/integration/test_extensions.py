"""Extension servers in the whole pipeline: real Envoys, and a server process that is slow, gone, started again, or answers nonsense."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.runtime.load import parse
from shared.testing.wait import until
from tests.integration.ads import served
from tests.integration.authority import Authority, pem
from tests.integration.pipeline import Pipeline, echo, free_port

pytestmark = pytest.mark.timeout(240)
HOOKS = "[Route, VirtualHost, HTTPListener, Cluster, Endpoints, Translation]"
KINDS = """
    resources: [{group: example.io, version: v1, kind: Filter}]
    policyResources: [{group: example.io, version: v1, kind: Policy}]
    backendResources: [{group: example.io, version: v1, kind: Bucket}]
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{filters}]
    backendRefs: [{backend}]
"""
FILTER = "{type: ExtensionRef, extensionRef: {group: example.io, kind: Filter, name: one}}"


def thing(kind: str, name: str, spec: str = "{}") -> str:
    return f"apiVersion: example.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


class Server:
    """A server process that can be stopped, started again and told to misbehave."""

    def __init__(self, folder: Path, name: str = "ext", address: str = "") -> None:
        folder.mkdir()
        self.folder, self.name = folder, name
        self.address = address or f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self.mode("good")

    def mode(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def start(self) -> None:
        argv = [sys.executable, "-m", "tests.integration.extension_server", self.address, str(self.folder), self.name]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(5)
            self._process = None

    @property
    def crashed(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def config(self, hooks: str = HOOKS, more: str = "", where: str = "") -> str:
        host, _, port = self.address.rpartition(":")
        service = where or f"ip: {{address: {host}, port: {port}}}"
        return f"""
  - name: {self.name}
{KINDS}
    hooks: {{xdsTranslator: {{post: {hooks}}}}}
    service: {{{service}}}
    {more}
"""


class World:
    def __init__(self, p: Pipeline, servers: list[Server], port: int) -> None:
        self.p, self.servers, self.port = p, servers, port

    @property
    def server(self) -> Server:
        return self.servers[0]

    def route(self, name: str, path: str, filters: str = FILTER, backend: str = "") -> None:
        named = backend or "{group: gateway.envoyproxy.io, kind: Backend, name: one}"
        self.p.write(f"route-{name}.yaml", ROUTE.format(name=name, path=path, filters=filters, backend=named))

    async def served(self, path: str, **headers: str) -> None:
        """Waits until that path is answered 200 with these headers (x_route for x-route)."""

        async def right() -> bool:
            found = await self.p.get(path)
            return found.status_code == 200 and all(found.headers.get(k.replace("_", "-")) == v for k, v in headers.items())

        await until(right, 40)

    async def dump(self) -> dict[str, Any]:
        """What Envoy has, by kind and name."""
        file = await until(lambda: max((self.p.layout.root / "envoy").rglob("admin*"), key=lambda f: f.stat().st_mtime, default=None))
        admin = "http://" + file.read_text().strip() if not file.read_text().startswith("http") else file.read_text().strip()
        found = (await self.p.client.get(f"{admin}/config_dump?include_eds")).json()["configs"]
        out: dict[str, Any] = {}
        for config in found:
            for each in config.get("dynamic_listeners", ()):
                out[f"listener {each['name']}"] = each["active_state"]["listener"]
            for each in config.get("dynamic_active_clusters", ()):
                out[f"cluster {each['cluster']['name']}"] = each["cluster"]
            for each in config.get("dynamic_endpoint_configs", ()):
                out[f"endpoints {each['endpoint_config']['cluster_name']}"] = each["endpoint_config"]
        return out

    def troubled(self) -> str:
        """What the Gateway says of its extension servers."""
        found = self.p.conditions("gw", "Gateway").get("ExtensionServersAvailable")
        return found["message"] if found is not None and found["status"] == "False" else ""

    async def metrics(self) -> str:
        """Of the xds_server."""
        ops = json.loads((self.p.layout.notes / "xds-server.json").read_text())["ops"]
        return (await self.p.client.get(f"{ops}/metrics")).text

    async def kept(self) -> dict[str, Any]:
        return {s: json.loads(v) for s, v in (await self.p.stream("HOOKS", "hooks.>")).items()}


@contextlib.asynccontextmanager
async def world(root: Path, *configs: str, servers: list[Server]) -> AsyncIterator[World]:
    text = "extensionManagers:\n" + "".join(configs) + "extensionApis: {enableBackend: true}\n"
    async with echo("one") as port, Pipeline(root / "p", parse(text)) as p:
        made = World(p, servers, port)
        p.gateway()
        p.backend("one", port)
        p.write("filter.yaml", thing("Filter", "one", "{value: first}"))
        made.route("good", "/good")
        p.route("plain", "one", path="/plain", answer="yes")
        for each in servers:
            each.start()
        p.nats.start()
        p.start()
        try:
            yield made
        finally:
            for each in servers:
                each.stop()


@contextlib.asynccontextmanager
async def one(root: Path, hooks: str = HOOKS, more: str = "") -> AsyncIterator[World]:
    (root / "p").mkdir()
    server = Server(root / "server")
    async with world(root, server.config(hooks, more), servers=[server]) as made:
        yield made


async def test_every_hook_changes_what_envoy_serves(tmp_path: Path) -> None:
    async with one(tmp_path) as w:
        await w.served("/good", x_route="first", x_host="ext")
        await w.served("/plain", x_host="ext", x_answer="yes")
        found = await w.dump()
        assert found["listener default/gw/http"]["per_connection_buffer_limit_bytes"] == 54321
        assert "cluster ext-injected" in found
        endpoints = found["endpoints httproute/default/good/rule/0"]["endpoints"][0]
        assert endpoints["locality"]["sub_zone"] == "ext"

        # a policy, with its status
        targets = "{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]}"
        w.p.write("policy.yaml", thing("Policy", "all", targets))
        await until(lambda: w.p.status("example.io", "Policy", "all"), 20)
        (ancestor,) = w.p.status("example.io", "Policy", "all")["ancestors"]
        assert {c["type"]: c["status"] for c in ancestor["conditions"]} == {"Accepted": "True"}

        async def told() -> bool:
            return bool((await w.dump())["listener default/gw/http"]["per_connection_buffer_limit_bytes"] == 54322)

        await until(told, 20)

        # a backend that only its server knows
        async with echo("bucket") as port:
            w.p.write("bucket.yaml", thing("Bucket", "b", f"{{port: {port}}}"))
            w.route("bucket", "/bucket", filters="", backend="{group: example.io, kind: Bucket, name: b, port: 1}")
            await w.served("/bucket", x_route="b")
            assert (await w.p.get("/bucket")).text == "bucket"

        # an edit asks only for what changed
        before = len(w.server.asked())
        w.p.route("plain", "one", path="/plain", answer="other")
        await w.p.answers("/plain", "other")
        assert sorted({line.split()[0] for line in w.server.asked()[before:]}) == ["virtual_host"]
        before = len(w.server.asked())
        w.p.write("filter.yaml", thing("Filter", "one", "{value: second}"))
        await w.served("/good", x_route="second")
        new = w.server.asked()[before:]
        assert sum(line.startswith("route ") for line in new) == 1
        assert not any(line.startswith(("listener", "endpoints")) for line in new)


async def test_a_restart_asks_nothing_twice_and_replicas_have_the_same(tmp_path: Path) -> None:
    async with one(tmp_path) as w:
        await w.served("/good", x_route="first", x_host="ext")
        kept = await until(w.kept, 20)
        assert all("first" not in json.dumps(v) for v in kept.values()), "what was said is sealed"
        before = w.server.asked()
        w.server.stop()
        w.p.kill("xds-server")
        w.p.start("xds-server")
        w.p.route("late", "one", path="/late", answer="x")
        with pytest.raises(AssertionError):
            # fail-closed: a virtual host with a new route has no answer, and the old one stays
            await w.p.answers("/late", "x", deadline=3)
        await w.served("/good", x_route="first", x_host="ext")
        assert w.server.asked() == before
        w.server.start()
        await w.p.answers("/late", "x", deadline=30)
        await w.served("/late", x_host="ext")

        # another replica takes what the first one was told, also what is new to both
        asked = w.server.asked()
        port = free_port()
        w.p.start_second("xds-server", "second", xds_port=str(port))
        await until(lambda: _agree(w, port), 30)
        assert w.server.asked() == asked
        w.p.route("late", "one", path="/late", answer="yet-another")
        await w.served("/late", x_answer="yet-another", x_host="ext")
        await until(lambda: _agree(w, port, b"yet-another"), 30)
        assert len(w.server.asked()) == len(asked) + 1

        # and asks itself when the first one is no more
        w.p.kill("xds-server")
        w.p.route("late", "one", path="/late", answer="taken-over")

        async def taken_over() -> bool:
            found = await served(port, w.p.layout.certs / "envoy", "default/gw")
            return any(b"taken-over" in body for body in found.values())

        await until(taken_over, 30)
        assert len(w.server.asked()) == len(asked) + 2


async def _agree(w: World, port: int, content: bytes = b"") -> bool:
    """Whether both replicas serve the same, byte for byte, with that somewhere in it."""
    one, other = [await served(p, w.p.layout.certs / "envoy", "default/gw") for p in (w.p.xds_port, port)]
    whole = len({type_url for type_url, _ in one}) == 4 and any(content in body for body in one.values())
    return whole and one == other


@pytest.mark.parametrize("mode", ["error", "garbage", "refused", "large", "crash", "gone", "30"])
async def test_a_server_that_misbehaves_and_fails_closed(tmp_path: Path, mode: str) -> None:
    """What was good stays, what is new is not shown, nothing else is touched, and somebody is told who it was."""
    async with one(tmp_path, "[VirtualHost]", "timeout: 1s") as w:
        await w.served("/good", x_host="ext")
        if mode == "gone":
            w.server.stop()
        else:
            w.server.mode(mode)
        w.p.route("plain", "one", path="/plain", answer="new")
        await until(w.troubled, 30)
        assert "ext" in w.troubled()
        assert "VirtualHost" in w.troubled()
        assert 'xds_extension_failing{extension="ext"} 1.0' in await w.metrics()
        await w.served("/plain", x_host="ext", x_answer="yes")
        w.server.mode("good")
        if mode in ("gone", "crash"):
            w.server.stop()
            w.server.start()
        await w.p.answers("/plain", "new", deadline=40)
        await until(lambda: not w.troubled(), 20)
        assert 'xds_extension_failing{extension="ext"} 0.0' in await w.metrics()


async def test_an_answer_that_envoy_refuses_is_told_and_holds_up_nothing_else(tmp_path: Path) -> None:
    async with one(tmp_path, "[Translation], translation: {route: {includeAll: true}}") as w:
        await w.served("/plain", x_answer="yes")
        w.server.mode("unacceptable")
        w.p.route("plain", "one", path="/plain", answer="new")
        await w.p.answers("/plain", "new")
        await until(w.troubled, 20)
        assert "extension ext" in w.troubled()
        assert "ext-injected: refused by Envoy" in w.troubled()
        w.server.mode("good")
        w.p.route("plain", "one", path="/plain", answer="third")
        await w.p.answers("/plain", "third")
        await until(lambda: not w.troubled(), 20)


@pytest.mark.parametrize("mode", ["error", "gone"])
async def test_a_server_that_misbehaves_and_fails_open(tmp_path: Path, mode: str) -> None:
    async with one(tmp_path, HOOKS, "{failOpen: true, timeout: 1s}".strip("{}").replace(", ", "\n    ")) as w:
        await w.served("/good", x_host="ext", x_route="first")
        if mode == "gone":
            w.server.stop()
        else:
            w.server.mode(mode)
        w.p.route("plain", "one", path="/plain", answer="new")
        await w.p.answers("/plain", "new", deadline=30)
        assert "x-host" not in (await w.p.get("/plain")).headers
        await until(w.troubled, 20)
        assert "unchanged" in w.troubled()
        w.server.mode("good")
        if mode == "gone":
            w.server.start()
        await w.served("/plain", x_host="ext", x_answer="new")
        await until(lambda: not w.troubled(), 20)


async def test_absent_from_the_start(tmp_path: Path) -> None:
    """Nothing is shown that its server has not seen; when it comes, everything is."""
    (tmp_path / "p").mkdir()
    server = Server(tmp_path / "server")
    async with world(tmp_path, server.config("[VirtualHost]", "timeout: 1s"), servers=[]) as w:
        await until(w.troubled, 60)

        # proxies that have something from before would lose it
        with pytest.raises(httpx.ConnectError):
            await w.p.get("/good")
        server.start()
        try:
            await w.served("/good", x_host="ext")
        finally:
            server.stop()


async def test_several_servers_in_order_one_over_tls_one_over_a_socket(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    authority = Authority()
    first = Server(tmp_path / "first", "first")
    second = Server(tmp_path / "second", "second", f"unix:{tmp_path}/s")
    certificate, key = authority.issue("localhost")
    shown = authority.issue("headgate")
    for name, text in (("tls.crt", certificate), ("tls.key", key), ("ca.crt", pem(authority.certificate))):
        (first.folder / name).write_text(text)
    port = first.address.rpartition(":")[2]
    tls = "tls: {certificateRef: {name: ca, namespace: default}, clientCertificateRef: {name: client, namespace: default}}"
    over_tls = first.config("[VirtualHost]", where=f"fqdn: {{hostname: localhost, port: {port}}}, {tls}")
    over_socket = second.config("[VirtualHost]", where=f"unix: {{path: {tmp_path}/s}}")
    async with world(tmp_path, over_tls, over_socket, servers=[first, second]) as w:
        for name, values in (("ca", {"tls.crt": pem(authority.certificate)}), ("client", {"tls.crt": shown[0], "tls.key": shown[1]})):
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
            w.p.write(f"secret-{name}.yaml", json.dumps(body))
        await w.served("/good", x_host="first, second")
        for value in (await w.p.stream("IR", "ir.xds.default.gw.gateway")).values():
            assert b"PRIVATE KEY" not in value
