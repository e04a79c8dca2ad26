"""A real API server's objects through the whole pipeline to a real Envoy, and statuses back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import pytest

from shared.testing.wait import until
from tests.integration.pipeline import Traffic
from tests.kube.pipeline import ClusterPipeline

pytestmark = pytest.mark.timeout(300)

GATEWAY = "gateway.networking.k8s.io"
MANY = 100
"""Routes, each with a Service and an EndpointSlice."""


async def test_objects_reach_envoy_and_statuses_come_back(p: ClusterPipeline) -> None:
    p.route("more", "one", path="/more", answer="1")
    await p.answers("/more", "1")
    p.route("more", "one", path="/more", answer="2")
    await p.answers("/more", "2")
    await until(lambda: {k: c["status"] for k, c in p.conditions("more").items()} == {"Accepted": "True", "ResolvedRefs": "True"})
    await until(lambda: p.conditions("gw", "Gateway")["Programmed"]["status"] == "True")
    assert p.status(GATEWAY, "Gateway", "gw")["listeners"][0]["attachedRoutes"] == 2
    await until(lambda: p.status(GATEWAY, "GatewayClass", "headgate")["conditions"][0]["status"] == "True")
    p.cluster.delete(f"{p.path(f'{GATEWAY}/v1', 'HTTPRoute')}/more")

    async def gone() -> bool:
        return (await p.get("/more")).status_code == 404

    await until(gone)


async def test_a_route_that_is_replaced_while_nobody_looks_has_its_status(p: ClusterPipeline) -> None:
    """Nothing of what it says has changed, so nothing upstream says anything; and yet its status must be there."""
    await until(lambda: p.conditions("good"))
    p.stop("resource-watcher")
    p.cluster.delete(f"{p.path(f'{GATEWAY}/v1', 'HTTPRoute')}/good")
    p.route("good", "one", path="/good", answer="yes")
    assert p.conditions("good") == {}
    p.start("resource-watcher")
    await until(lambda: {k: c["status"] for k, c in p.conditions("good").items()} == {"Accepted": "True", "ResolvedRefs": "True"}, 40)


async def test_an_api_server_that_is_away_costs_no_request_and_no_change(p: ClusterPipeline) -> None:
    async with Traffic(f"http://127.0.0.1:{p.port}/good") as traffic:
        p.cluster.kill()
        sent = traffic.sent
        await until(lambda: traffic.sent > sent + 50, 60)
        await asyncio.to_thread(p.cluster.start)
        p.route("after", "one", path="/after", answer="1")
        await p.answers("/after", "1", deadline=60)
        await until(lambda: p.conditions("after"), 60)
    assert traffic.failures == []


async def test_under_steady_churn_no_status_stays_empty_or_stale(p: ClusterPipeline) -> None:
    """Routes, Services and EndpointSlices change at random, and the watcher is killed among it: in the end each status speaks of its
    object's latest generation."""
    chance = random.Random(7)
    for n in range(MANY):
        await asyncio.to_thread(_service, p, n, 1)
        await asyncio.to_thread(_route, p, n, "first")
    end = time.monotonic() + 12
    killed = False
    while time.monotonic() < end:
        n = chance.randrange(MANY)
        match chance.randrange(4):
            case 0:
                await asyncio.to_thread(_service, p, n, chance.randrange(1, 200))
            case 1:
                with contextlib.suppress(AssertionError):
                    await asyncio.to_thread(p.cluster.delete, f"{p.path(f'{GATEWAY}/v1', 'HTTPRoute')}/r{n}")
                await asyncio.to_thread(_route, p, n, "again")
            case _:
                await asyncio.to_thread(_route, p, n, f"edit{chance.randrange(1000)}")
        if not killed and time.monotonic() > end - 6:
            killed = True
            p.kill("resource-watcher")
            p.start("resource-watcher")

    def wrong() -> list[str]:
        items = p.cluster.get(p.path(f"{GATEWAY}/v1", "HTTPRoute"))["items"]
        return [r["metadata"]["name"] for r in items if not _current(r)]

    await until(lambda: not wrong(), 90)
    assert len(p.cluster.get(p.path(f"{GATEWAY}/v1", "HTTPRoute"))["items"]) == MANY + 1


def _current(route: dict[str, Any]) -> bool:
    parents = (route.get("status") or {}).get("parents") or ()
    conditions = [c for parent in parents for c in parent["conditions"]]
    return bool(conditions) and all(
        c["status"] == "True" and c["observedGeneration"] == route["metadata"]["generation"] for c in conditions
    )


def _route(p: ClusterPipeline, n: int, value: str) -> None:
    change = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-answer", "value": value}]}}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/r{n}"}}],
        "backendRefs": [{"name": f"s{n}", "port": 80}],
        "filters": [change],
    }
    spec = {"parentRefs": [{"name": "gw"}], "rules": [rule]}
    p.put({"apiVersion": f"{GATEWAY}/v1", "kind": "HTTPRoute", "metadata": {"name": f"r{n}"}, "spec": spec})


def _service(p: ClusterPipeline, n: int, last: int) -> None:
    p.put({"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{n}"}, "spec": {"ports": [{"name": "http", "port": 80}]}})
    p.put(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"s{n}-1", "labels": {"kubernetes.io/service-name": f"s{n}"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [f"10.1.0.{last}"], "conditions": {"ready": True}}],
        }
    )
