"""`./taskw bench:cluster`: the same questions on a Kubernetes cluster, from an API call until requests are served so.

Measures what is installed on the cluster of KUBECONFIG. It must run where LoadBalancer addresses are reachable: HEADGATE_E2E_EXEC goes
before the command, as for the end-to-end tests. It makes, and in the end removes, the namespace `headgate-bench`. Every route has a host
name and a header of its own, and all share one backend.

./taskw bench:cluster                                    10, 100, 1,000 and 3,000 routes
./taskw bench:cluster -- --routes 10,100 --edits 20      a shorter run
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from shared.kube.client import Kube
from shared.runtime import logs
from shared.runtime.config import Logging
from shared.testing.wait import until
from tests.bench import cluster_objects as objects
from tests.bench.observe import percentile
from tests.bench.tables import markdown

ATONCE = 16
"""Routes that are created side by side."""
PATIENCE = 180.0


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """Milliseconds for latencies, seconds for creation, milliseconds of CPU an edit, MiB."""

    routes: int
    edits: int
    created_s: float
    edit_p50_ms: float
    edit_p99_ms: float
    endpoints_p50_ms: float
    endpoints_p99_ms: float
    cpu_per_edit_ms: dict[str, float]
    memory_mib: dict[str, float]
    scaled_requests: int
    scaled_failed: int
    scaled_pods: int


class Bench:
    """One Gateway and its backend on the cluster."""

    def __init__(self, kube: Kube, http: aiohttp.ClientSession, system: str) -> None:
        self.kube = kube
        self.http = http
        self.system = system
        self.address = ""
        self.count = 0

    async def apply(self, path: str, body: objects.Object) -> None:
        await self.kube.apply(f"{path}/{body['metadata']['name']}", body)

    async def get(self, path: str, **query: str) -> objects.Object:
        found: objects.Object = msgspec.json.decode(await self.kube.get(path, query))
        return found

    async def programmed(self) -> bool:
        """Whether the Gateway has an address, which is known from then on."""
        status = (await self.get(f"{objects.GATEWAYS}/bench")).get("status", {})
        if any(c["type"] == "Programmed" and c["status"] == "True" for c in status.get("conditions", ())):
            self.address = status["addresses"][0]["value"]
        return bool(self.address)

    async def ask(self, number: int, connection: str = "keep-alive") -> tuple[int, str, str]:
        """Status, the route's header, and the pod that answered."""
        headers = {"Host": objects.host(number), "Connection": connection}
        async with self.http.get(f"http://{self.address}/", headers=headers) as answer:
            body = await answer.read()
            pod = msgspec.json.decode(body).get("pod", "") if answer.status == 200 else ""
            return answer.status, answer.headers.get(objects.HEADER, ""), pod

    async def served(self, number: int, as_wanted: Callable[[tuple[int, str, str]], bool]) -> float:
        """perf_counter when a route first answers so. TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    if as_wanted(await self.ask(number)):
                        return time.perf_counter()
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.0005)

    # what is measured

    async def create(self, count: int) -> float:
        """Seconds from the first call until the last of so many new routes is served. That all others are is looked at afterwards."""
        gate = asyncio.Semaphore(ATONCE)

        async def one(number: int) -> None:
            async with gate:
                await self.kube.request("POST", objects.ROUTES, body=objects.route(number, "start"))

        begin = time.perf_counter()
        await asyncio.gather(*(one(n) for n in range(count)))
        # they were under way side by side: any of these may be the last
        end = max([await self.served(number, _found) for number in range(max(0, count - ATONCE), count)])
        for number in range(count):
            await self.served(number, _found)
        self.count = count
        return end - begin

    async def clear(self) -> None:
        await self.kube.request("DELETE", objects.ROUTES)

        async def gone() -> bool:
            return not (await self.get(objects.ROUTES, limit="1"))["items"] and (await self.ask(0))[0] == 404

        await until(gone, deadline=PATIENCE)
        self.count = 0

    async def edit(self, number: int, value: str) -> float:
        """Milliseconds from the call until it is served."""
        begin = time.perf_counter()
        change = {"spec": objects.route(number, value)["spec"]}
        call = self.kube.request("PATCH", f"{objects.ROUTES}/{objects.name(number)}", body=change, content_type=objects.MERGE)
        _, end = await asyncio.gather(call, self.served(number, lambda got: got[1] == value))
        return (end - begin) * 1000

    async def point(self, pods: dict[str, str], pod: str) -> float:
        """Milliseconds from the call that makes one pod the whole backend until it answers."""
        begin = time.perf_counter()
        call = self.apply(objects.SLICES, objects.endpoints(pods[pod]))
        _, end = await asyncio.gather(call, self.served(self.count // 2, lambda got: got[2] == pod))
        return (end - begin) * 1000

    async def pods(self, wanted: int) -> dict[str, str]:
        """Name -> address, when exactly so many are ready."""
        ready: dict[str, str] = {}

        async def so_many() -> bool:
            found = (await self.get(objects.PODS, labelSelector="app=backend"))["items"]
            ready.clear()
            for pod in found:
                if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())):
                    ready[pod["metadata"]["name"]] = pod["status"]["podIP"]
            return len(ready) == wanted == len(found)

        await until(so_many, deadline=PATIENCE)
        return ready

    async def scale(self, *sizes: int) -> tuple[int, int, int]:
        """Requests, those that failed, and pods that answered, while the other backend is scaled so under a steady client."""
        failed, sent, seen = 0, 0, set()
        done = asyncio.Event()

        async def client() -> None:
            nonlocal failed, sent
            while not done.is_set():
                sent += 1
                try:
                    status, _, pod = await self.ask(objects.SCALED, "close" if sent % 10 == 0 else "keep-alive")
                    failed += status != 200
                    seen.add(pod)
                except (aiohttp.ClientError, TimeoutError):
                    failed += 1
                await asyncio.sleep(0.01)

        task = asyncio.create_task(client())
        for size in sizes:
            body = {"spec": {"replicas": size}}
            await self.kube.request("PATCH", f"{objects.DEPLOYMENTS}/backend", body=body, content_type=objects.MERGE)
            await self.pods(size)
            await asyncio.sleep(2)
        done.set()
        await task
        return sent, failed, len(seen)

    async def usage(self) -> dict[str, tuple[float, float]]:
        """Service -> seconds of CPU since its start, MiB."""
        found = await self.get(f"/api/v1/namespaces/{self.system}/pods", labelSelector="app.kubernetes.io/name=headgate")
        out: dict[str, tuple[float, float]] = {}
        for pod in found["items"]:
            service, address = pod["metadata"]["labels"]["app.kubernetes.io/component"], pod["status"].get("podIP")
            if service in ("nats", "certgen") or pod["status"]["phase"] != "Running":
                continue
            async with self.http.get(f"http://{address}:19001/metrics") as answer:
                lines = (line.split() for line in (await answer.text()).splitlines() if line.startswith("process_"))
            values = {line[0]: float(line[1]) for line in lines}
            out[service] = (values["process_cpu_seconds_total"], values["process_resident_memory_bytes"] / 2**20)
        return out


def _found(got: tuple[int, str, str]) -> bool:
    return got[0] == 200


@asynccontextmanager
async def ready(system: str, controller: str) -> AsyncIterator[Bench]:
    """The namespace with a Gateway that answers, and no route."""
    async with (
        await Kube.connect("bench", qps=5000, burst=5000) as kube,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        bench = Bench(kube, http, system)
        for path, body in objects.base(controller):
            await bench.apply(path, body)
        try:
            await until(bench.programmed, deadline=PATIENCE)
            yield bench
        finally:
            for path, body in objects.base(controller)[:2]:
                await kube.request("DELETE", f"{path}/{body['metadata']['name']}")


async def row(bench: Bench, routes: int, edits: int) -> Row:
    """Everything with so many routes, from none."""
    pods = await bench.pods(2)
    names = sorted(pods)
    await bench.apply(objects.SLICES, objects.endpoints(pods[names[0]]))
    await bench.clear()
    created = await bench.create(routes)
    await bench.kube.apply(f"{objects.ROUTES}/{objects.name(objects.SCALED)}", objects.route(objects.SCALED, "start", "scaled"))
    await bench.served(objects.SCALED, _found)
    await _quiet(bench)
    for n in range(3):
        await bench.edit(routes // 2, f"warm-{n}")
    before = await bench.usage()
    edited = [await _after_a_pause(lambda n=n: bench.edit(routes // 2, f"edit-{n}")) for n in range(edits)]  # type: ignore[misc]
    after = await bench.usage()
    pointed = [await _after_a_pause(lambda n=n: bench.point(pods, names[(n + 1) % 2])) for n in range(edits)]  # type: ignore[misc]
    sent, failed, seen = await bench.scale(4, 2)
    return Row(
        routes=routes,
        edits=edits,
        created_s=created,
        edit_p50_ms=percentile(edited, 0.5),
        edit_p99_ms=percentile(edited, 0.99),
        endpoints_p50_ms=percentile(pointed, 0.5),
        endpoints_p99_ms=percentile(pointed, 0.99),
        cpu_per_edit_ms={s: (after[s][0] - before[s][0]) * 1000 / edits for s in after},
        memory_mib={s: after[s][1] for s in after},
        scaled_requests=sent,
        scaled_failed=failed,
        scaled_pods=seen,
    )


async def _after_a_pause(work: Callable[[], Awaitable[float]]) -> float:
    """One change at a time: what the one before set off is over."""
    await asyncio.sleep(0.3)
    return await work()


async def _quiet(bench: Bench) -> None:
    """Returns when the services have written their statuses and rest."""
    last = 0.0
    while True:
        await asyncio.sleep(2)
        now = sum(cpu for cpu, _ in (await bench.usage()).values())
        if now - last < 0.1:
            return
        last = now


def table(rows: list[Row]) -> str:
    """Markdown."""
    columns = (
        "routes",
        "created, until all are served s",
        "edit until served p50 / p99 ms",
        "its backend's endpoints p50 / p99 ms",
        "CPU per edit ms",
        "memory MiB",
        "backend scaled 2, 4, 2: requests / failed",
    )
    cells = (
        (
            f"{r.routes:,}",
            f"{r.created_s:.1f}",
            f"{r.edit_p50_ms:.0f} / {r.edit_p99_ms:.0f}",
            f"{r.endpoints_p50_ms:.0f} / {r.endpoints_p99_ms:.0f}",
            f"{sum(r.cpu_per_edit_ms.values()):.0f}",
            f"{sum(r.memory_mib.values()):.0f}",
            f"{r.scaled_requests:,} / {r.scaled_failed}",
        )
        for r in rows
    )
    return markdown(columns, cells)


async def run(options: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    async with ready(options.system, options.controller) as bench:
        for routes in (int(r) for r in options.routes.split(",")):
            print(f"{routes:,} routes …", file=sys.stderr, flush=True)
            rows.append(await row(bench, routes, options.edits))
            print(table(rows[-1:]), file=sys.stderr, flush=True)
    return rows


def main() -> int:
    logs.configure("bench", Logging(level={"default": "warn"}))
    parser = argparse.ArgumentParser(
        prog="./taskw bench:cluster --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--routes", default="10,100,1000,3000", help="comma-separated sizes")
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--system", default="envoy-gateway-system", help="namespace of the control plane")
    parser.add_argument("--controller", default="gateway.envoyproxy.io/gatewayclass-controller", help="its controller name")
    parser.add_argument("--json", type=Path, default=Path("build/bench-cluster.json"), help="where the figures go")
    options = parser.parse_args()
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cpus": os.cpu_count(), "python": platform.python_version()}
    rows = asyncio.run(run(options))
    print(table(rows))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"about": about, "rows": rows})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
