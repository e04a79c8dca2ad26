"""What Envoy itself costs: a bare ADS server pushes a RouteConfiguration and measures until Envoy acknowledges it.

Routes are serialised beforehand and nothing is computed between the push and the acknowledgement, so this is the floor under every
figure of edit to ACK. One virtual host and one route a piece, as the benchmarks of Headgate have it: `plain` with nothing but a match
and an answer, `rendered` byte for byte what Headgate gives Envoy (with the metadata that Envoy Gateway puts on each route, which alone
triple Envoy's cost, and with a cluster for each route). Before that a cold start is measured: Envoy's process is started towards a server
that has everything at hand.

    python -m tests.bench.bare_ads [--routes 1,100,1000,10000] [--rounds 20] [--content plain,rendered]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import grpc

from services.xds_server.ads.messages import Response, delta_request, delta_response
from services.xds_server.render.types import LISTENER, MESSAGES, ROUTE
from services.xds_server.resources import Resource
from shared.bootstrap.default import Options, default
from shared.testing.envoy import running_envoy
from shared.testing.ports import free_port
from shared.xds.message import Fields, encode, pack
from tests.bench.objects import Rendering, backend, gateway, route

NAME = "bench"


class Cost(NamedTuple):
    """Push to ACK, in milliseconds; `cold_start`: seconds from the start of the process until it has acknowledged all routes."""

    content: str
    routes: int
    p50: float
    p99: float
    bytes: int
    cold_start: float


def _resource(type_url: str, name: str, version: int, fields: Fields) -> Resource:
    body = encode(MESSAGES[type_url], fields)
    return Resource(name, str(version), encode("google.protobuf.Any", {"type_url": type_url, "value": body}))


def _listener(port: int) -> Fields:
    hcm: Fields = {
        "stat_prefix": "bench",
        "rds": {"route_config_name": NAME, "config_source": {"ads": {}, "resource_api_version": "V3"}},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": pack("envoy.extensions.filters.http.router.v3.Router")}],
    }
    manager = pack("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", hcm)
    return {
        "name": NAME,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


Resources = Mapping[str, tuple[Resource, ...]]
"""By type URL."""


class _Content(Protocol):
    fixed: Resources

    def next(self, round_: int) -> Resource:
        """The RouteConfiguration with one route changed."""


class _Plain:
    """Virtual hosts with nothing but a match and an answer; no clusters."""

    def __init__(self, count: int, port: int) -> None:
        self._count = count
        self.fixed: Resources = {LISTENER: (_resource(LISTENER, NAME, 1, _listener(port)),), ROUTE: (self.next(0),)}

    def next(self, round_: int) -> Resource:
        hosts = [
            {
                "name": f"h{i}",
                "domains": [f"h{i}.example.com"],
                "routes": [{"match": {"path_separated_prefix": f"/v{round_ if i == 0 else 0}"}, "direct_response": {"status": 200}}],
            }
            for i in range(self._count)
        ]
        return _resource(ROUTE, NAME, round_, {"name": NAME, "virtual_hosts": hosts})


class _Rendered:
    """Everything as the services make it of the benchmarks' files."""

    def __init__(self, count: int, port: int) -> None:
        self._made = Rendering()
        self._at = count // 2
        routes = {f"{n}.yaml": route(n, "start", "own" if n == self._at else "b") for n in range(count)}
        backends = {f"{name}.yaml": backend(name, 0) for name in ("b", "own")}
        found = self._made.write({"gateway.yaml": gateway(port)} | backends | routes)
        self.fixed: Resources = {type_url: tuple(resources.values()) for type_url, resources in found.items()}

    def next(self, round_: int) -> Resource:
        (rendered,) = self._made.write({f"{self._at}.yaml": route(self._at, f"edit-{round_}", "own")})[ROUTE].values()
        return rendered._replace(version=str(round_))


CONTENTS: dict[str, Callable[[int, int], _Content]] = {"plain": _Plain, "rendered": _Rendered}


class Bare:
    """Answers one Envoy with what is fixed; `push` sends a RouteConfiguration and gives the seconds until its ACK."""

    def __init__(self, fixed: Resources) -> None:
        self._fixed = fixed
        self._nonce = 0
        self.first_ack: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        """When (perf_counter) the first RouteConfiguration was acknowledged."""
        self._send: Callable[[bytes], Any] | None = None
        self._acked: dict[str, asyncio.Future[float]] = {}
        self._answered: set[str] = set()

    def _response(self, type_url: str, resources: tuple[Resource, ...]) -> tuple[str, bytes]:
        self._nonce += 1
        nonce = str(self._nonce)
        return nonce, delta_response(Response(type_url, nonce, nonce, resources))

    async def serve(self, _requests: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self._send = context.write
        eof: Any = grpc.aio.EOF  # type: ignore[attr-defined]
        while (data := await context.read()) is not eof:
            request, _ = delta_request(data)
            if request.nonce in self._acked:
                future = self._acked.pop(request.nonce)
                if request.error is not None:
                    future.set_exception(RuntimeError(request.error))
                else:
                    future.set_result(time.perf_counter())
            if request.type_url not in self._answered:
                self._answered.add(request.type_url)
                nonce, message = self._response(request.type_url, self._fixed.get(request.type_url, ()))
                if request.type_url == ROUTE:
                    self._acked[nonce] = self.first_ack
                await context.write(message)

    async def push(self, resource: Resource) -> float:
        assert self._send is not None
        nonce, message = self._response(ROUTE, (resource,))
        future = self._acked[nonce] = asyncio.get_running_loop().create_future()
        begin = time.perf_counter()
        await self._send(message)
        async with asyncio.timeout(30):
            acked: float = await future
        return acked - begin


@contextlib.asynccontextmanager
async def _serving(fixed: Resources) -> AsyncIterator[tuple[Bare, int]]:
    """A server of these resources, and its port."""
    bare = Bare(fixed)
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])
    method = grpc.stream_stream_rpc_method_handler(bare.serve)
    service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"DeltaAggregatedResources": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield bare, port
    finally:
        await server.stop(0)


async def measure(routes: int, rounds: int = 20, content: str = "plain") -> Cost:
    """Of an Envoy with the bootstrap that Headgate gives one on a host: a cold start, then one route changed again and again."""
    made = CONTENTS[content](routes, free_port())
    async with _serving(made.fixed) as (bare, port):
        options = Options(xds_host="127.0.0.1", xds_port=port, sds_dir="", admin_port=0, local_cluster="", stats_port=0)
        config = {**default(options), "node": {"id": NAME, "cluster": NAME}}
        begin = time.perf_counter()
        async with running_envoy(port, concurrency=os.cpu_count() or 1, config=config) as envoy:
            async with asyncio.timeout(180):
                started = await bare.first_ack - begin
            await envoy.wait_live(30)
            resources = [made.next(n) for n in range(1, rounds + 1)]
            times = sorted([1000 * await bare.push(r) for r in resources])
    p99 = times[min(len(times) - 1, round(0.99 * len(times)))]
    return Cost(content, routes, statistics.median(times), p99, len(resources[0].any_bytes), started)


async def measure_all(sizes: list[int], rounds: int = 20, contents: Sequence[str] = ("plain",)) -> list[Cost]:
    return [await measure(n, rounds, c) for c in contents for n in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", default="1,100,1000,10000")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--content", default="plain,rendered")
    options = parser.parse_args()
    costs = asyncio.run(measure_all([int(n) for n in options.routes.split(",")], options.rounds, options.content.split(",")))
    for cost in costs:
        print(
            f"{cost.content:9} {cost.routes:6} routes: p50 {cost.p50:7.2f} ms  p99 {cost.p99:7.2f} ms"
            f"  {cost.bytes:9} bytes  cold start {cost.cold_start:5.2f} s"
        )
    print(json.dumps([c._asdict() for c in costs]))


if __name__ == "__main__":
    main()
