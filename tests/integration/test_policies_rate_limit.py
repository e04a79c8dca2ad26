"""Limits that one service counts for all proxies: real Envoy, the pipeline, and a service that xds_server tells what to count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from shared.runtime.config import EnvoyGateway, RateLimitSection
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.integration import limiting
from tests.integration.pipeline import Pipeline, echo

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

GATEWAY, ENVOY = "gateway.networking.k8s.io", "gateway.envoyproxy.io"
NO_SERVICE = f"no rate limit service here: `ratelimit` (or ${limiting.RATE_LIMIT}) and `redis-server` are looked for"
SERVICES = [
    pytest.param(limiting.own, id="own"),
    pytest.param(limiting.real, id="real", marks=pytest.mark.skipif(limiting.real_binary() is None, reason=NO_SERVICE)),
]


class Limited:
    def __init__(self, p: Pipeline, client: httpx.AsyncClient) -> None:
        self.p, self.client = p, client

    def policy(self, name: str, *rules: dict[str, Any], to: tuple[str, ...] = ()) -> None:
        """A policy of that name on the routes `to` (by default the one of its own name), and these routes."""
        routes = to or (name,)
        targets = [{"group": GATEWAY, "kind": "HTTPRoute", "name": route} for route in routes]
        spec = {"targetRefs": targets, "rateLimit": {"global": {"rules": list(rules)}}}
        policy = {"apiVersion": f"{ENVOY}/v1alpha1", "kind": "BackendTrafficPolicy", "metadata": {"name": name}, "spec": spec}
        self.p.write(f"limits-{name}.yaml", yaml.safe_dump(policy))
        for route in routes:
            self.p.route(route, "one", path=f"/{route}", answer="here")

    async def ask(self, path: str, **headers: str) -> httpx.Response:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.get(f"http://127.0.0.1:{self.p.port}{path}", headers=named)

    async def counted(self, path: str, **headers: str) -> list[int]:
        """Statuses of five requests."""
        return [(await self.ask(path, **headers)).status_code for _ in range(5)]

    async def known(self, path: str, probe: str) -> None:
        """Until the limit of a path is in force, as seen by a client of its own name: its second request is refused."""

        async def refused() -> bool:
            return (await self.ask(path, x_user=probe)).status_code == 429

        await until(refused, 30)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=SERVICES)
async def limited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Limited]:
    ports = limiting.Ports(free_port(), free_port())
    section = RateLimitSection(url=f"grpc://127.0.0.1:{ports.service}", config_port=ports.config, fail_closed=True)
    root = tmp_path_factory.mktemp("limits")
    async with (
        echo("one") as port,
        Pipeline(root, EnvoyGateway(rate_limit=section)) as p,
        request.param(ports, p.layout.certs),
        httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=0)) as client,
    ):
        await p.start_with_good(port)
        yield Limited(p, client)


def each(requests: int, **more: Any) -> dict[str, Any]:
    """So many requests an hour for each user."""
    selector = {"headers": [{"name": "x-user", "type": "Distinct"}]}
    return {"clientSelectors": [selector], "limit": {"requests": requests, "unit": "Hour"}, **more}


async def test_each_user_has_so_many_requests(limited: Limited) -> None:
    limited.policy("users", each(3))
    await limited.known("/users", "probe")
    assert await limited.counted("/users", x_user="ann") == [200, 200, 200, 429, 429]
    assert await limited.counted("/users", x_user="bob") == [200, 200, 200, 429, 429]
    assert await limited.counted("/users") == [200] * 5, "who is no user is not counted"


async def test_a_limit_is_raised_while_it_counts(limited: Limited) -> None:
    limited.policy("raised", each(1))
    await limited.known("/raised", "probe")
    assert await limited.counted("/raised", x_user="ann") == [200, 429, 429, 429, 429]
    limited.policy("raised", each(50))

    async def free() -> bool:
        return (await limited.ask("/raised", x_user="ann")).status_code == 200

    await until(free, 30)


async def test_a_shared_rule_counts_all_routes_together(limited: Limited) -> None:
    limited.policy("together", each(4, shared=True), to=("left", "right"))
    await limited.known("/left", "probe")
    await limited.known("/right", "probe")
    both = [(await limited.ask(f"/{side}", x_user="ann")).status_code for side in ("left", "right") * 3]
    assert both == [200, 200, 200, 200, 429, 429]


async def test_a_request_may_cost_more_than_one(limited: Limited) -> None:
    limited.policy("dear", each(6, cost={"request": {"from": "Number", "number": 3}}))
    await limited.known("/dear", "probe")
    assert await limited.counted("/dear", x_user="ann") == [200, 200, 429, 429, 429]


async def test_paths_and_methods_can_be_what_counts(limited: Limited) -> None:
    selector = {"path": {"type": "PathPrefix", "value": "/some/dear"}, "methods": [{"value": "GET"}]}
    user = {"headers": [{"name": "x-user", "type": "Distinct"}]}
    limited.policy("some", {"clientSelectors": [selector | user], "limit": {"requests": 1, "unit": "Hour"}})
    await limited.known("/some/dear/thing", "probe")
    assert await limited.counted("/some/dear", x_user="ann") == [200, 429, 429, 429, 429]
    assert await limited.counted("/some/cheap", x_user="ann") == [200] * 5
