"""BackendTrafficPolicies with real traffic, each on a route of its own, to backends that fail, hang and count as they are told."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from shared.testing.servers import http_server
from shared.testing.wait import until
from tests.integration.conftest import Running
from tests.integration.pipeline import Pipeline

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY = "gateway.networking.k8s.io"
ENVOY = "gateway.envoyproxy.io"
NAMES = ("first", "second", "third")


class Backend:
    """Answers with its name. `failing` is how many requests to a path it refuses first; paths in `held` wait until they are freed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.seen: Counter[str] = Counter()
        self.failing: Counter[str] = Counter()
        self.held: dict[str, asyncio.Event] = {}
        self.healthy = True

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path == "/health":
            return web.Response(status=200 if self.healthy else 503)
        self.seen[path] += 1
        await request.read()
        if path in self.held:
            await self.held[path].wait()
        if self.failing[path] > 0:
            self.failing[path] -= 1
            return web.Response(status=503, text="not now")
        status = 404 if path.endswith("/lost") else 200
        return web.Response(status=status, text=f"{self.name}{'.' * 2000 if path.startswith('/long') else ''}")

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Backend]:
        async with http_server(self.answer) as self.port:
            try:
                yield self
            finally:
                for event in self.held.values():
                    event.set()


class Around:
    """The pipeline, and three backends that stand behind the Backend `all`; `one` is the first of them, alone in `single`."""

    def __init__(self, p: Pipeline, client: httpx.AsyncClient, backends: tuple[Backend, ...]) -> None:
        self.p = p
        self.client = client
        self.backends = backends
        self.one = backends[0]

    def policy(self, name: str, to: str = "single", **spec: Any) -> None:
        """A policy on a route of that name, which serves the path of that name; both at once."""
        ref = {"group": ENVOY, "kind": "Backend", "name": to}
        rule = {"matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}], "backendRefs": [ref]}
        route = made("HTTPRoute", name, {"parentRefs": [{"name": "gw"}], "rules": [rule]}, f"{GATEWAY}/v1")
        target = {"group": GATEWAY, "kind": "HTTPRoute", "name": name}
        self.p.write(
            f"policy-{name}.yaml", yaml.safe_dump_all([route, made("BackendTrafficPolicy", name, {"targetRefs": [target], **spec})])
        )

    async def ask(self, path: str, method: str = "GET", *, content: bytes = b"", **headers: str) -> httpx.Response:
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.request(method, f"http://127.0.0.1:{self.p.port}{path}", headers=named, content=content)

    async def becomes(self, status: int, path: str, **headers: str) -> httpx.Response:
        """The first answer with that status."""
        found: list[httpx.Response] = []

        async def right() -> bool:
            found.append(await self.ask(path, "GET", content=b"", **headers))
            return found[-1].status_code == status

        await until(right, 20)
        return found[-1]

    def accepted(self, name: str) -> tuple[str, str]:
        ancestors = self.p.status(ENVOY, "BackendTrafficPolicy", name).get("ancestors", ())
        found = [c for a in ancestors for c in a["conditions"] if c["type"] == "Accepted"]
        return (found[0]["status"], found[0]["message"]) if found else ("", "")


def made(kind: str, name: str, spec: dict[str, Any], group: str = f"{ENVOY}/v1alpha1") -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def backend(name: str, *of: Backend) -> dict[str, Any]:
    return made("Backend", name, {"endpoints": [{"ip": {"address": "127.0.0.1", "port": each.port}} for each in of]})


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def around(shared: Running) -> AsyncIterator[Around]:
    async with contextlib.AsyncExitStack() as stack:
        backends = tuple([await stack.enter_async_context(Backend(name).serving()) for name in NAMES])
        shared.p.write("backends.yaml", yaml.safe_dump_all([backend("single", backends[0]), backend("all", *backends)]))
        # an open connection goes on with the filters that it began with until Envoy has drained it
        client = httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))
        yield Around(shared.p, await stack.enter_async_context(client), backends)


async def test_what_fails_is_tried_again(around: Around) -> None:
    retry = {"numRetries": 2, "retryOn": {"httpStatusCodes": [503], "triggers": ["retriable-status-codes"]}}
    around.policy("retry", retry=retry | {"perRetry": {"backOff": {"baseInterval": "1ms", "maxInterval": "2ms"}}})
    await around.becomes(200, "/retry")
    around.one.failing["/retry/twice"] = 2
    answer = await around.ask("/retry/twice")
    assert (answer.status_code, around.one.seen["/retry/twice"]) == (200, 3)
    around.one.failing["/retry/often"] = 9
    answer = await around.ask("/retry/often")
    assert (answer.status_code, around.one.seen["/retry/often"]) == (503, 3)


async def test_who_waits_too_long_is_told(around: Around) -> None:
    around.policy("slow", timeout={"http": {"requestTimeout": "200ms"}})
    await around.becomes(200, "/slow")
    around.one.held["/slow/hangs"] = asyncio.Event()
    assert (await around.ask("/slow/hangs")).status_code == 504
    around.one.held["/slow/hangs"].set()
    assert (await around.ask("/slow/hangs")).status_code == 200


async def test_faults_on_purpose(around: Around) -> None:
    around.policy("faulty", faultInjection={"abort": {"httpStatus": 418}})
    await around.becomes(418, "/faulty")
    assert around.one.seen["/faulty/never"] == 0
    assert (await around.ask("/faulty/never")).status_code == 418
    assert around.one.seen["/faulty/never"] == 0
    around.policy("faulty", faultInjection={"abort": {"httpStatus": 418, "percentage": 0}})
    await around.becomes(200, "/faulty")


async def test_a_full_circuit_breaker_turns_requests_away_and_lets_them_in_again(around: Around) -> None:
    around.policy("breaker", circuitBreaker={"maxParallelRequests": 1})
    await around.becomes(200, "/breaker")
    around.one.held["/breaker/long"] = asyncio.Event()
    long = asyncio.create_task(around.ask("/breaker/long"))
    await until(lambda: around.one.seen["/breaker/long"] > 0, 10)
    assert (await around.ask("/breaker")).status_code == 503
    around.one.held["/breaker/long"].set()
    assert (await long).status_code == 200
    await around.becomes(200, "/breaker")


async def test_requests_go_to_who_is_healthy(around: Around) -> None:
    check = {
        "type": "HTTP",
        "http": {"path": "/health"},
        "interval": "50ms",
        "timeout": "1s",
        "unhealthyThreshold": 1,
        "healthyThreshold": 1,
    }
    around.backends[0].healthy = around.backends[2].healthy = False
    around.policy("checked", to="all")
    # Envoy checks a cluster that has never had any traffic once a minute
    await around.becomes(200, "/checked")
    around.policy("checked", to="all", healthCheck={"active": check, "panicThreshold": 0})

    async def answering() -> set[str]:
        answers = [await around.ask("/checked") for _ in range(12)]
        return {a.text for a in answers if a.status_code == 200} | {str(a.status_code) for a in answers if a.status_code != 200}

    async def only(*names: str) -> None:
        async def found() -> bool:
            return await answering() == set(names)

        await until(found, 20)

    await only("second")
    around.backends[0].healthy = around.backends[2].healthy = True
    await only(*NAMES)


async def test_a_hash_sends_the_same_to_the_same(around: Around) -> None:
    by_user = {"type": "ConsistentHash", "consistentHash": {"type": "Header", "header": {"name": "x-user"}}}
    around.policy("hashed", to="all", loadBalancer=by_user)
    await around.becomes(200, "/hashed")
    users = [f"user-{n}" for n in range(24)]
    homes = {user: (await around.ask("/hashed", x_user=user)).text for user in users}
    assert set(homes.values()) == set(NAMES)
    for user in users:
        assert (await around.ask("/hashed", x_user=user)).text == homes[user]


async def test_a_limit_that_the_proxy_counts_itself(around: Around) -> None:
    local = {"rules": [{"clientSelectors": [{"headers": [{"name": "x-user", "value": "joe"}]}], "limit": {"requests": 2, "unit": "Hour"}}]}
    around.policy("limited", rateLimit={"type": "Local", "local": local})
    await around.becomes(200, "/limited")
    answers = [await around.ask("/limited", x_user="joe") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert (await around.ask("/limited", x_user="jane")).status_code == 200


async def test_responses_are_compressed_for_who_wants_it(around: Around) -> None:
    around.policy("long", compressor=[{"type": "Gzip", "gzip": {}, "minContentLength": 100}])

    async def compressed() -> bool:
        return "gzip" in (await around.ask("/long", accept_encoding="gzip")).headers.get("content-encoding", "")

    await until(compressed, 20)
    plain = await around.ask("/long", accept_encoding="identity")
    assert "content-encoding" not in plain.headers
    url = f"http://127.0.0.1:{around.p.port}/long"
    async with around.client.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert len(raw) < 1000
    assert gzip.decompress(raw) == plain.content


async def test_responses_are_replaced(around: Around) -> None:
    page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"response.body": "nothing of that kind"}}
    around.p.write("page.yaml", yaml.safe_dump(page))
    body = {"type": "ValueRef", "valueRef": {"group": "", "kind": "ConfigMap", "name": "page"}}
    lost = {"match": {"statusCodes": [{"type": "Range", "range": {"start": 404, "end": 410}}]}}
    around.policy("replaced", responseOverride=[lost | {"response": {"contentType": "text/plain", "statusCode": 410, "body": body}}])
    answer = await around.becomes(410, "/replaced/lost")
    assert (answer.text, answer.headers["content-type"]) == ("nothing of that kind", "text/plain")
    assert (await around.ask("/replaced")).text == "first"


async def test_a_request_that_is_too_large_to_be_held_is_refused(around: Around) -> None:
    around.policy("buffered", requestBuffer={"limit": "1Ki"})
    await around.becomes(200, "/buffered")
    assert (await around.ask("/buffered", "POST", content=b"x" * 100)).status_code == 200
    assert (await around.ask("/buffered", "POST", content=b"x" * 5000)).status_code == 413


async def test_a_policy_that_cannot_be_carried_out_refuses_its_route_and_says_why(around: Around) -> None:
    around.policy("broken", retry={"perRetry": {"backOff": {"baseInterval": "2s", "maxInterval": "1s"}}})
    await around.becomes(500, "/broken")
    await until(lambda: around.accepted("broken")[0] == "False", 20)
    assert around.accepted("broken")[1] == "Retry: maxInterval cannot be less than baseInterval."
    around.policy("broken", retry={"perRetry": {"backOff": {"baseInterval": "1s", "maxInterval": "2s"}}})
    await around.becomes(200, "/broken")
    await until(lambda: around.accepted("broken")[0] == "True", 20)


BALANCERS: dict[str, dict[str, Any]] = {
    "least-request": {"type": "LeastRequest", "slowStart": {"window": "10s"}},
    "round-robin": {"type": "RoundRobin", "slowStart": {"window": "10s"}},
    "random": {"type": "Random", "zoneAware": {"preferLocal": {"minEndpointsThreshold": 3, "percentageEnabled": 50, "force": {}}}},
    "source": {"type": "ConsistentHash", "consistentHash": {"type": "SourceIP", "tableSize": 1031}},
    "headers": {"type": "ConsistentHash", "consistentHash": {"type": "Headers", "headers": [{"name": "x-a"}, {"name": "x-b"}]}},
    "cookie": {
        "type": "ConsistentHash",
        "consistentHash": {"type": "Cookie", "cookie": {"name": "c", "ttl": "60s", "attributes": {"SameSite": "Strict"}}},
    },
    "query": {"type": "ConsistentHash", "consistentHash": {"type": "QueryParams", "queryParams": [{"name": "q"}]}},
    "utilization": {
        "type": "BackendUtilization",
        "slowStart": {"window": "10s"},
        "backendUtilization": {"blackoutPeriod": "1s", "errorUtilizationPenaltyPercent": 50, "metricNamesForComputingUtilization": ["m"]},
    },
    "override": {"type": "RoundRobin", "endpointOverride": {"extractFrom": [{"header": "x-to"}]}},
    "zones": {"type": "LeastRequest", "zoneAware": {"weightedZones": [{"zone": "a", "weight": 3}, {"zone": "b", "weight": 1}]}},
}


@pytest.mark.parametrize("name", BALANCERS)
async def test_envoy_takes_every_balancer(around: Around, name: str) -> None:
    around.policy(f"balanced-{name}", to="all", loadBalancer=BALANCERS[name])
    assert (await around.becomes(200, f"/balanced-{name}")).text in NAMES
    await until(lambda: around.accepted(f"balanced-{name}")[0] == "True", 20)


async def test_a_header_chooses_the_endpoint(around: Around) -> None:
    around.policy("chosen", to="all", loadBalancer=BALANCERS["override"])
    await around.becomes(200, "/chosen")
    for each in around.backends:
        assert {(await around.ask("/chosen", x_to=f"127.0.0.1:{each.port}")).text for _ in range(3)} == {each.name}


async def test_who_fails_is_left_out_for_a_while(around: Around) -> None:
    passive = {"consecutive5XxErrors": 1, "interval": "50ms", "baseEjectionTime": "300s", "maxEjectionPercent": 100}
    around.policy("ejected", to="all", healthCheck={"passive": passive, "panicThreshold": 0})
    await around.becomes(200, "/ejected")
    around.backends[1].failing["/ejected"] = 1000

    async def two_are_left() -> bool:
        answers = [await around.ask("/ejected") for _ in range(12)]
        return {a.text for a in answers} == {"first", "third"}

    await until(two_are_left, 20)


async def test_backends_learn_the_clients_address(around: Around) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        around.p.backend("proxied", server.sockets[0].getsockname()[1])
        around.policy("proxied", to="proxied", proxyProtocol={"version": "V1"})
        await around.becomes(200, "/proxied")
        await until(lambda: heads[-1].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 "), 10)


async def test_envoy_takes_all_that_cannot_be_seen_from_outside(around: Around) -> None:
    around.policy(
        "unseen",
        timeout={"tcp": {"connectTimeout": "2s"}, "http": {"connectionIdleTimeout": "1m", "maxConnectionDuration": "1h"}},
        tcpKeepalive={"probes": 3, "idleTime": "1m", "interval": "10s"},
        connection={"bufferLimit": "64Ki", "preconnect": {"perEndpointPercent": 120, "predictivePercent": 110}},
        dns={"dnsRefreshRate": "5s", "respectDnsTtl": False, "lookupFamily": "IPv4"},
        http2={"initialStreamWindowSize": "1Mi", "maxConcurrentStreams": 50, "connectionKeepalive": {"interval": "30s", "timeout": "5s"}},
        circuitBreaker={"maxConnections": 10, "perEndpoint": {"maxConnections": 5}, "retryBudget": {"percent": {"numerator": 20}}},
        admissionControl={"samplingWindow": "30s", "minSuccessRate": 95, "successCriteria": {"http": {"statusCodes": [200]}}},
        bandwidthLimit={
            "request": {"limit": {"value": "1Mi", "unit": "Second"}},
            "response": {"limit": {"value": "1Mi", "unit": "Second"}},
        },
        telemetry={"metrics": {"routeStatName": "%ROUTE_NAMESPACE%/%ROUTE_NAME%"}},
        useClientProtocol=True,
    )
    await until(lambda: around.accepted("unseen")[0] == "True", 20)
    assert (await around.becomes(200, "/unseen")).text == "first"


async def test_a_request_can_count_for_several(around: Around) -> None:
    selector = {"headers": [{"name": "x-user", "type": "Distinct"}]}
    cost = {"request": {"from": "Number", "number": 2}}
    local = {"rules": [{"clientSelectors": [selector], "limit": {"requests": 5, "unit": "Hour"}, "cost": cost}]}
    around.policy("costly", rateLimit={"type": "Local", "local": local})
    await around.becomes(200, "/costly")
    for user in ("joe", "jane"):
        answers = [await around.ask("/costly", x_user=user) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 429, 429]


async def test_what_envoy_refuses_is_told_to_the_policy_and_its_route_goes_on(around: Around) -> None:
    around.policy("refused", circuitBreaker={"maxConnections": 10})
    await around.becomes(200, "/refused")
    around.policy("refused", healthCheck={"active": {"type": "GRPC", "interval": "1s"}})

    def told() -> str:
        ancestors = around.p.status(ENVOY, "BackendTrafficPolicy", "refused").get("ancestors", ())
        return next((c["message"] for a in ancestors for c in a["conditions"] if c["type"] == "Programmed" and c["status"] == "False"), "")

    await until(lambda: "HTTP/2 for gRPC" in told(), 20)
    assert (await around.ask("/refused")).status_code == 200
    around.policy("refused", circuitBreaker={"maxConnections": 20})
    await until(lambda: not told(), 20)
    assert (await around.ask("/refused")).status_code == 200
