"""Whatever happened to a cluster's objects and to our processes meanwhile: in the end all is as after a first start.

Objects of many kinds are written and deleted at random while services and NATS are killed. Then everything that Headgate has is thrown
away, its bus and its proxies, and it starts on the same objects: no status is written again, and the proxies get what they had.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import re
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.cli.certgen import Part, certificates
from shared.runtime.settings import SERVICES
from shared.testing.wait import until
from tests.integration.pipeline import echo
from tests.kube.apiserver import ApiServer
from tests.kube.pipeline import ClusterPipeline

pytestmark = pytest.mark.timeout(400)

Object = dict[str, Any]
G, E = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
STEPS = 120
SEEDS = [int(s) for s in os.environ.get("HEADGATE_HISTORIES", "1,2").split(",")]
GATEWAY = {"group": G, "kind": "Gateway", "name": "gw"}
ROUTE = {"group": G, "kind": "HTTPRoute", "name": "r0"}

HELD_WHILE_DRAINING = {"dynamic_active_secrets", "dynamic_route_configs"}
"""What a proxy still has of a listener that it was told to close."""


def made(api_version: str, kind: str, name: str, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def route(name: str, path: str, service: str, **rule: Any) -> Object:
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": service, "port": 80}]} | rule]
    return made(f"{G}/v1", "HTTPRoute", name, spec={"parentRefs": [{"name": "gw"}], "rules": rules})


def gateway(port: int, tls_port: int, *, tls: bool, hostname: str | None = None) -> Object:
    listeners: list[Object] = [{"name": "http", "protocol": "HTTP", "port": port} | ({"hostname": hostname} if hostname else {})]
    if tls:
        terminated = {"certificateRefs": [{"name": "pair"}]}
        listeners.append({"name": "https", "protocol": "HTTPS", "port": tls_port, "hostname": "a.example.com", "tls": terminated})
    return made(f"{G}/v1", "Gateway", "gw", spec={"gatewayClassName": "headgate", "listeners": listeners})


def service(**spec: Any) -> Object:
    return made("v1", "Service", "s0", spec={"ports": [{"name": "http", "port": 80}]} | spec)


def endpoints(*ports: int) -> Object:
    found = made("discovery.k8s.io/v1", "EndpointSlice", "s0-1", addressType="IPv4", ports=[{"name": "http", "port": p} for p in ports])
    found["metadata"]["labels"] = {"kubernetes.io/service-name": "s0"}
    return found | {"endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": True}}]}


def pair() -> Object:
    _, pairs = certificates([Part("tls", "a.example.com", ("a.example.com",))], hosts=())
    data = {"tls.crt": pairs["tls"].certificate, "tls.key": pairs["tls"].key}
    return made("v1", "Secret", "pair", type="kubernetes.io/tls", data={k: base64.b64encode(v).decode() for k, v in data.items()})


def authority() -> Object:
    made_by, _ = certificates([Part("tls", "a.example.com", ("a.example.com",))], hosts=())
    return made("v1", "ConfigMap", "authority", data={"ca.crt": made_by.decode()})


def users(password: str) -> Object:
    # {SHA} as htpasswd writes it
    entry = f"user:{{SHA}}{base64.b64encode(password.ljust(20, '.').encode()).decode()}"
    return made("v1", "Secret", "users", data={".htpasswd": base64.b64encode(entry.encode()).decode()})


def policy(kind: str, target: Object, **spec: Any) -> Object:
    return made(f"{E}/v1alpha1", kind, f"{kind.lower()}-{target['name']}", spec={"targetRefs": [target]} | spec)


def pool(port: int, tls_port: int) -> list[list[Object]]:
    """Objects, each with the forms that it may have."""
    reference = {"group": E, "kind": "HTTPRouteFilter", "name": "answer"}
    said = [{"type": "ExtensionRef", "extensionRef": reference}]
    answers = [made(f"{E}/v1alpha1", "HTTPRouteFilter", "answer", spec={"directResponse": {"statusCode": c}}) for c in (503, 418)]
    basic = {"basicAuth": {"users": {"name": "users"}}}
    backends = [{"group": E, "kind": "Backend", "name": "b0"}]
    validations: list[Object] = [
        {"hostname": "a.example.com", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "authority"}]},
        {"hostname": "a.example.com", "wellKnownCACertificates": "System"},
    ]
    lua = [{"lua": [{"type": "Inline", "inline": f"function envoy_on_response(h) h:headers():add('x', '{n}') end"}]} for n in range(2)]
    return [
        *([route(f"r{n}", f"/{n}{end}", s) for end in ("", "/more") for s in ("s0", "none")] for n in range(3)),
        [route("filtered", "/filtered", "s0", filters=said), route("filtered", "/f", "s0")],
        [route("backed", "/backed", "s0", backendRefs=backends)],
        [
            made(
                f"{G}/v1", "GRPCRoute", "g", spec={"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s0", "port": 80}]}]}
            )
        ],
        [
            gateway(port, tls_port, tls=False),
            gateway(port, tls_port, tls=True),
            gateway(port, tls_port, tls=True, hostname="*.example.com"),
        ],
        [service(), service(type="ExternalName", externalName="example.com")],
        [endpoints(8080), endpoints(8081), endpoints()],
        [made(f"{E}/v1alpha1", "Backend", "b0", spec={"endpoints": [{"ip": {"address": "10.2.2.2", "port": p}}]}) for p in (80, 81)],
        [pair(), pair()],
        [users("one"), users("two")],
        [authority(), authority()],
        answers,
        [policy("BackendTLSPolicy", {"group": "", "kind": "Service", "name": "s0"}, validation=v) for v in validations],
        [policy("BackendTrafficPolicy", GATEWAY, timeout={"http": {"requestTimeout": f"{n}s"}}) for n in (1, 2)],
        [policy("BackendTrafficPolicy", ROUTE, retry={"numRetries": n}) for n in (1, 2)],
        [policy("SecurityPolicy", ROUTE, **basic), policy("SecurityPolicy", ROUTE, cors={"allowOrigins": ["https://example.com"]})],
        [policy("SecurityPolicy", GATEWAY, **basic)],
        [policy("ClientTrafficPolicy", GATEWAY, timeout={"http": {"requestReceivedTimeout": f"{n}s"}}) for n in (5, 6)],
        [policy("EnvoyExtensionPolicy", ROUTE, **spec) for spec in lua],
    ]


def in_place(obj: Object) -> Object:
    """BackendTLSPolicy is the Gateway API's; all else of that kind is Envoy Gateway's."""
    return obj | {"apiVersion": f"{G}/v1"} if obj["kind"] == "BackendTLSPolicy" else obj


class History:
    """What is done to a cluster and to the services that look after it."""

    def __init__(self, p: ClusterPipeline, seed: int) -> None:
        self.p = p
        self.dice = random.Random(seed)
        self.pool = [[in_place(o) for o in forms] for forms in pool(p.port, p.tls_port)]
        self.there: set[tuple[str, str]] = set()

    def _path(self, obj: Object) -> str:
        return self.p.path(obj["apiVersion"], obj["kind"])

    def put(self, obj: Object) -> None:
        if obj["kind"] in ("Service", "Secret"):
            # a type cannot be changed in place, nor a cluster IP be given back
            self.delete(obj)
        self.p.put(obj)
        self.there.add((self._path(obj), obj["metadata"]["name"]))

    def delete(self, obj: Object) -> None:
        key = self._path(obj), obj["metadata"]["name"]
        if key in self.there:
            self.p.cluster.delete("/".join(key))
            self.there.discard(key)

    async def step(self) -> None:
        if self.dice.random() < 0.04:
            self.p.nats.kill()
            self.p.nats.start()
        if self.dice.random() < 0.08:
            name = self.dice.choice(SERVICES)
            self.p.kill(name)
            self.p.start(name)
        obj = self.dice.choice(self.dice.choice(self.pool))
        match self.dice.randrange(6):
            case 0:
                await asyncio.to_thread(self.delete, obj)
            case 1:
                await asyncio.to_thread(self.delete, obj)
                await asyncio.to_thread(self.put, obj)
            case _:
                await asyncio.to_thread(self.put, obj)
        await asyncio.sleep(self.dice.random() * 0.2)  # the pace of the history, not a wait for anything

    def objects(self) -> dict[str, Object]:
        """What the API server holds: every object with its status, and with its version, which tells whether it was written again. A
        Gateway's is, as its proxies come and go."""
        paths = {path for path, _ in self.there} | {self.p.path(f"{G}/v1", "GatewayClass")}
        found = [(p, o) for p in sorted(paths) for o in self.p.cluster.get(p)["items"]]
        return {f"{p}/{o['metadata']['name']}": held(p, o) for p, o in found}


def held(path: str, obj: Object) -> Object:
    if not path.endswith("/gateways"):
        return {"version": obj["metadata"]["resourceVersion"], "status": obj.get("status")}
    found = json.dumps(obj["status"], sort_keys=True)
    return {"status": json.loads(re.sub(r'"lastTransitionTime": "[^"]*"', '"lastTransitionTime": ""', found))}


async def settled(h: History) -> tuple[dict[str, Object], Mapping[str, Any]]:
    """Objects and what the proxy holds, when neither has changed for a while."""
    seen: list[Any] = []

    async def still() -> bool:
        now = await asyncio.to_thread(h.objects), await h.p.proxy_config()
        if seen and seen[0] != now:
            seen.clear()
        seen.append(now)
        programmed = h.p.conditions("gw", "Gateway")["Programmed"]
        assert programmed["status"] == "True", programmed
        return len(seen) >= 10

    await until(still, 120, every=0.5)
    found: tuple[dict[str, Object], Mapping[str, Any]] = seen[0]
    return found


@pytest_asyncio.fixture
async def p(cluster: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClusterPipeline]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    async with echo("one") as port, ClusterPipeline(tmp_path, cluster, namespace) as p:
        p.gateway()
        p.backend("one", port)
        p.route("good", "one", path="/good", answer="yes")
        p.nats.start()
        p.start()
        await p.answers("/good", "yes", deadline=60)
        yield p


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_history_ends_where_a_first_start_ends(p: ClusterPipeline, seed: int) -> None:
    h = History(p, seed)
    for _ in range(STEPS):
        await h.step()
    h.put(gateway(p.port, p.tls_port, tls=True))
    h.put(route("last", "/last", "s0"))
    await until(lambda: p.conditions("last"), 60)
    objects, config = await settled(h)
    p.kill("infra-manager")
    for pid in p.envoy_pids():
        os.kill(pid, signal.SIGKILL)
    for name in list(p.processes):
        p.kill(name)
    p.nats.restart(wipe=True)
    p.start()

    async def as_before() -> bool:
        return await p.proxy_config() == config

    with contextlib.suppress(AssertionError):  # what differs is said below
        await until(as_before, 60)
    fresh_objects, fresh_config = await settled(h)
    left = {name for name in config if name not in fresh_config}
    assert {name.partition("/")[0] for name in left} <= HELD_WHILE_DRAINING
    assert fresh_config == {name: body for name, body in config.items() if name not in left}
    assert fresh_objects == objects
