"""Hundreds of routes, Services and EndpointSlices that change without a pause: in the end no status is empty or stale, and no route is
served otherwise than it was last written."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from shared.kube.client import Kube
from tests.e2e.cluster import NAMESPACE, Cluster, until

MANY = int(os.environ.get("HEADGATE_E2E_ROUTES", "300"))
ROUNDS = 6
"""How often each of them is changed, on average, in each of two halves."""
AT_ONCE = 8
WHERE = "churn"
ROUTES = f"/apis/gateway.networking.k8s.io/v1/namespaces/{WHERE}/httproutes"
SERVICES = f"/api/v1/namespaces/{WHERE}/services"
PORT = {"name": "http", "port": 80, "targetPort": 3000}
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{WHERE}/endpointslices"


class Wanted:
    """What was last written: a route's header, and which of the two backends its own Service stands for."""

    def __init__(self, backends: dict[str, str]) -> None:
        self.backends = backends
        self.names = sorted(backends)
        self.headers: dict[int, str] = {}
        self.pods: dict[int, str] = {}

    async def route(self, kube: Kube, n: int, header: str) -> None:
        change = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-churn", "value": header}]}}
        spec = {
            "parentRefs": [{"name": "eg", "namespace": "quickstart"}],
            "hostnames": [f"r{n}.example.com"],
            "rules": [{"filters": [change], "backendRefs": [{"name": f"s{n}", "port": 80}]}],
        }
        body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": f"r{n}"}, "spec": spec}
        await kube.apply(f"{ROUTES}/r{n}", body)
        self.headers[n] = header

    async def endpoints(self, kube: Kube, n: int, pod: str) -> None:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"s{n}", "labels": {"kubernetes.io/service-name": f"s{n}"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.backends[pod]], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": 3000, "protocol": "TCP"}],
        }
        await kube.apply(f"{SLICES}/s{n}", body)
        self.pods[n] = pod

    async def service(self, kube: Kube, n: int, label: str) -> None:
        metadata = {"name": f"s{n}", "labels": {"example.com/stage": label}}
        await kube.apply(f"{SERVICES}/s{n}", {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [PORT]}})

    async def change(self, kube: Kube, n: int, chance: random.Random, serial: int) -> None:
        """One object of number `n`, which nobody else changes meanwhile."""
        match chance.randrange(6):
            case 0:
                await kube.request("DELETE", f"{ROUTES}/r{n}")
                await self.route(kube, n, f"again-{serial}")
            case 1:
                await self.service(kube, n, f"stage-{serial}")
            case 2 | 3:
                await self.endpoints(kube, n, chance.choice(self.names))
            case _:
                await self.route(kube, n, f"edit-{serial}")


async def side_by_side(wanted: Wanted, serials: Iterator[int], rounds: int) -> None:
    """Each worker has numbers of its own."""
    async with await Kube.connect("churn", qps=5000, burst=5000) as kube:

        async def worker(which: int) -> None:
            chance, own = random.Random(which), range(which, MANY, AT_ONCE)
            if not wanted.headers.keys() & set(own):
                for n in own:
                    await wanted.service(kube, n, "first")
                    await wanted.endpoints(kube, n, wanted.names[0])
                    await wanted.route(kube, n, "first")
            for _ in range(rounds * len(own)):
                await wanted.change(kube, chance.choice(own), chance, next(serials))

        async with asyncio.TaskGroup() as group:
            for which in range(AT_ONCE):
                group.create_task(worker(which))


@pytest.fixture(scope="module")
def wanted(installed: Cluster, quickstart: str) -> Iterator[Wanted]:
    installed.namespace(WHERE)
    listener = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": {"namespaces": {"from": "All"}}}
    everyone = json.dumps({"spec": {"listeners": [listener]}})
    installed.kubectl("patch", "gateway", "eg", "-n", "quickstart", "--type=merge", "-p", everyone)
    yield Wanted({p["metadata"]["name"]: p["status"]["podIP"] for p in installed.staying("app=backend", "quickstart")})
    if not os.environ.get("HEADGATE_E2E_KEEP"):
        installed.kubectl("delete", "namespace", WHERE, "--wait=false")


def not_settled(cluster: Cluster) -> list[str]:
    """Routes whose status does not say what the present generation is worth."""

    def settled(route: dict[str, Any]) -> bool:
        parents = (route.get("status") or {}).get("parents") or ()
        said = [(c["type"], c["status"], c["observedGeneration"]) for p in parents for c in p["conditions"]]
        return sorted(said) == [(kind, "True", route["metadata"]["generation"]) for kind in ("Accepted", "ResolvedRefs")]

    items = json.loads(cluster.kubectl("get", "httproute", "-n", WHERE, "-o", "json"))["items"]
    assert len(items) == MANY
    return [r["metadata"]["name"] for r in items if not settled(r)]


def served(cluster: Cluster, address: str) -> dict[int, tuple[str, str]]:
    """Number -> header and pod of one answer of each route."""
    urls = [a for n in range(MANY) for a in ("--resolve", f"r{n}.example.com:80:{address}")]
    urls += [f"http://r{n}.example.com/" for n in range(MANY)]
    command = cluster.reach("curl", "-s", "-m", "60", "-w", "\x1e%header{x-churn}\x1f", *urls)
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    answers = [answer.rpartition("\x1e") for answer in done.stdout.split("\x1f")[:-1]]
    return {n: (header, pod_of(body)) for n, (body, _, header) in enumerate(answers)}


def pod_of(body: str) -> str:
    try:
        return str(json.loads(body)["pod"])
    except ValueError:
        return body


@pytest.mark.parametrize("killed", ["nobody", "everybody"])
def test_nothing_stays_stale(installed: Cluster, quickstart: str, wanted: Wanted, killed: str) -> None:
    serials = itertools.count()
    asyncio.run(side_by_side(wanted, serials, ROUNDS))
    if killed == "everybody":
        own = ("-l", "app.kubernetes.io/name=headgate,app.kubernetes.io/component!=nats")
        installed.kubectl("delete", "pod", "-n", NAMESPACE, *own, "--grace-period=0", "--force", "--wait=false")
    asyncio.run(side_by_side(wanted, serials, ROUNDS))
    installed.installed()
    until(lambda: not_settled(installed) == [], 60, every=2)
    last = {n: (wanted.headers[n], wanted.pods[n]) for n in range(MANY)}

    def differing() -> dict[int, tuple[Any, Any]]:
        now = served(installed, quickstart)
        return {n: (now.get(n), last[n]) for n in last if now.get(n) != last[n]}

    until(lambda: differing() == {}, 60, every=1)
