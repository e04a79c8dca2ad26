"""A Gateway with N routes, one host name each, and the measurements on it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from shared.runtime.settings import SERVICES
from shared.testing.wait import until
from tests.bench.bare_ads import Cost
from tests.bench.objects import backend, policy, route
from tests.bench.observe import Acks, cpu, memory, percentile
from tests.integration.pipeline import Pipeline


class Result(msgspec.Struct, frozen=True, rename="camel"):
    """Milliseconds for latencies, seconds for the cold start, milliseconds of CPU an edit, MiB."""

    routes: int
    edits: int
    edit_p50_ms: float
    edit_p99_ms: float
    commit_p50_ms: float
    envoy_p50_ms: float
    envoy_p99_ms: float
    backend_p50_ms: float
    backend_p99_ms: float
    shared_backend_p50_ms: float
    cpu_per_edit_ms: dict[str, float]
    memory_mib: dict[str, float]
    cold_start_s: float
    envoy_cold_start_s: float


class Scenario:
    def __init__(self, pipeline: Pipeline, acks: Acks, cold_start: float) -> None:
        self.p = pipeline
        self.acks = acks
        self.cold_start = cold_start

    @property
    def pids(self) -> dict[str, int]:
        return {s: self.p.processes[s].pid for s in SERVICES}

    async def edit(self, name: str, text: str) -> tuple[float, float]:
        """Milliseconds from the saved file to the commit, and to the acknowledgement."""
        before = self.acks.version
        begin = time.perf_counter()
        self.p.write(name, text)
        committed, acked = await self.acks.after(before)
        return (committed - begin) * 1000, (acked - begin) * 1000


@contextlib.asynccontextmanager
async def running(root: Path, routes: int) -> AsyncIterator[Scenario]:
    """Everything started, from nothing, and all routes acknowledged."""
    async with Pipeline(root) as p:
        p.gateway()
        p.backend("b", 9)
        p.backend("own", 9)
        for n in range(routes):
            p.write(f"routes/{n // 100}/{n}.yaml", route(n, "start", "own" if n == routes // 2 else "b"))
        p.nats.start()
        begin = time.perf_counter()
        p.start()
        async with p.bus() as bus, Acks(bus) as acks:
            await until(lambda: _served(p, acks, routes), deadline=180)
            yield Scenario(p, acks, time.perf_counter() - begin)


class Streams(msgspec.Struct, frozen=True, rename="camel"):
    """`connect_s`: until all streams had everything. The rest: milliseconds from a saved file until every stream has acknowledged; of CPU
    an edit for xds_server."""

    streams: int
    connect_s: float
    endpoints_p50_ms: float
    endpoints_p99_ms: float
    edit_p50_ms: float
    edit_p99_ms: float
    cpu_per_edit_ms: float
    memory_mib: float


async def streams(root: Path, count: int, edits: int) -> Streams:
    """That many delta streams on one xds_server, beside its Envoy, on a Gateway with 100 routes."""
    async with running(root, 100) as s:
        begin = time.perf_counter()
        argv = (str(s.p.xds_port), str(s.p.layout.certs / "envoy"), "default/gw", str(count))
        fleet = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.fleet", *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert fleet.stdin is not None
        assert fleet.stdout is not None
        try:
            async with asyncio.timeout(120):
                if (await fleet.stdout.readline()).strip() != b"ready":
                    raise RuntimeError("the fleet did not come up")
            connected = time.perf_counter() - begin
            await until(lambda: _holds(s.acks, count + 1), deadline=30)
            for n in range(2):
                await s.edit("backend-own.yaml", backend("own", 1000 + n))
            before = cpu(s.pids)["xds-server"]
            endpoints = [(await s.edit("backend-own.yaml", backend("own", n)))[1] for n in range(edits)]
            used = (cpu(s.pids)["xds-server"] - before) * 1000 / edits
            routes = [(await s.edit("routes/0/50.yaml", route(50, f"edit-{n}", "own")))[1] for n in range(edits)]
            if s.acks.proxies != count + 1:
                raise RuntimeError(f"{s.acks.proxies} streams of {count + 1} are left")
            return Streams(
                streams=count,
                connect_s=connected,
                endpoints_p50_ms=percentile(endpoints, 0.5),
                endpoints_p99_ms=percentile(endpoints, 0.99),
                edit_p50_ms=percentile(routes, 0.5),
                edit_p99_ms=percentile(routes, 0.99),
                cpu_per_edit_ms=used,
                memory_mib=memory(s.pids)["xds-server"],
            )
        finally:
            fleet.stdin.close()
            try:
                await asyncio.wait_for(fleet.wait(), 10)
            except TimeoutError:
                fleet.kill()


async def _holds(acks: Acks, proxies: int) -> bool:
    return acks.proxies == proxies and acks.held >= acks.version


async def _served(p: Pipeline, acks: Acks, routes: int) -> bool:
    if acks.version == 0 or acks.held < acks.version:
        return False
    commit = next(iter((await p.stream("IR", "ir.xds.*.*.commit")).values()), b"{}")
    return int(msgspec.json.decode(commit).get("shards", 0)) >= routes + 3


async def measure(root: Path, routes: int, edits: int, envoy: Cost) -> Result:
    """`envoy`: its own cost for the same configuration, from a bare ADS server in the same run."""
    async with running(root, routes) as s:
        at = routes // 2
        name = f"routes/{at // 100}/{at}.yaml"
        for n in range(3):
            await s.edit(name, route(at, f"warm-{n}", "own"))
        before = cpu(s.pids)
        both = [await s.edit(name, route(at, f"edit-{n}", "own")) for n in range(edits)]
        used = {k: (v - before[k]) * 1000 / edits for k, v in cpu(s.pids).items()}
        own = [(await s.edit("backend-own.yaml", backend("own", n)))[1] for n in range(edits)]
        shared = [(await s.edit("backend-b.yaml", backend("b", n)))[1] for n in range(max(3, edits // 5))] if routes > 1 else own
        return Result(
            routes=routes,
            edits=edits,
            edit_p50_ms=percentile([b for _, b in both], 0.5),
            edit_p99_ms=percentile([b for _, b in both], 0.99),
            commit_p50_ms=percentile([a for a, _ in both], 0.5),
            envoy_p50_ms=envoy.p50,
            envoy_p99_ms=envoy.p99,
            backend_p50_ms=percentile(own, 0.5),
            backend_p99_ms=percentile(own, 0.99),
            shared_backend_p50_ms=percentile(shared, 0.5),
            cpu_per_edit_ms=used,
            memory_mib=memory(s.pids),
            cold_start_s=s.cold_start,
            envoy_cold_start_s=envoy.cold_start,
        )


class Burst(msgspec.Struct, frozen=True, rename="camel"):
    """Seconds from the first of so many new files until the proxy has acknowledged all of their routes."""

    routes: int
    versions: int
    seconds: float


async def burst(root: Path, routes: int) -> Burst:
    """That many routes created at once on a Gateway with 100."""
    async with running(root, 100) as s:
        version = s.acks.version
        begin = time.perf_counter()
        for n in range(100, 100 + routes):
            s.p.write(f"routes/{n // 100}/{n}.yaml", route(n, "new"))
        await until(lambda: _served(s.p, s.acks, 100 + routes), deadline=120)
        return Burst(routes, s.acks.version - version, time.perf_counter() - begin)


class PolicyEdits(msgspec.Struct, frozen=True, rename="camel"):
    """A policy for all routes of a Gateway edited: milliseconds until the proxy has acknowledged, and until the commit.

    Of requests: every route is another one, in one RouteConfiguration. Of clusters: every cluster is another one. CPU in milliseconds.
    """

    routes: int
    requests_p50_ms: float
    requests_p99_ms: float
    requests_commit_p50_ms: float
    requests_cpu_ms: dict[str, float]
    clusters_p50_ms: float
    clusters_commit_p50_ms: float
    clusters_cpu_ms: dict[str, float]


async def policy_edits(root: Path, routes: int, edits: int) -> PolicyEdits:
    async with running(root, routes) as s:
        for n in range(2):
            await s.edit("policy.yaml", policy(10 + n, 1000))
        before = cpu(s.pids)
        of_requests = [await s.edit("policy.yaml", policy(20 + n, 1000)) for n in range(edits)]
        between = cpu(s.pids)
        of_clusters = [await s.edit("policy.yaml", policy(19 + edits, 2000 + n)) for n in range(max(2, edits // 3))]
        after = cpu(s.pids)
        return PolicyEdits(
            routes=routes,
            requests_p50_ms=percentile([b for _, b in of_requests], 0.5),
            requests_p99_ms=percentile([b for _, b in of_requests], 0.99),
            requests_commit_p50_ms=percentile([a for a, _ in of_requests], 0.5),
            requests_cpu_ms={k: (v - before[k]) * 1000 / edits for k, v in between.items()},
            clusters_p50_ms=percentile([b for _, b in of_clusters], 0.5),
            clusters_commit_p50_ms=percentile([a for a, _ in of_clusters], 0.5),
            clusters_cpu_ms={k: (v - between[k]) * 1000 / len(of_clusters) for k, v in after.items()},
        )


class Soak(msgspec.Struct, frozen=True, rename="camel"):
    """Memory (MiB) of each service at the start and after so many edits."""

    edits: int
    start_mib: dict[str, float]
    end_mib: dict[str, float]


async def soak(root: Path, edits: int) -> Soak:
    """Edits as fast as they are acknowledged; every fifth is a new route, under a name never used before, in place of another: memory must
    stay flat."""
    async with running(root, 100) as s:

        async def one(n: int) -> None:
            fresh = f"routes/0/new-{n}.yaml"
            if n % 5:
                await s.edit(f"routes/0/{n % 50}.yaml", route(n % 50, f"soak-{n}"))
                return
            (s.p.folder / f"routes/0/new-{n - 5}.yaml").unlink(missing_ok=True)
            await s.edit(fresh, route(1000 + n, "new"))

        for n in range(200):
            await one(n)
        start = memory(s.pids)
        for n in range(200, 200 + edits):
            await one(n)
        return Soak(edits, start, memory(s.pids))
