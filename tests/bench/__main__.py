"""`./taskw bench`: how long a change takes, what it costs, and what the services hold. Prints a table; writes JSON.

./taskw bench                                  1, 100, 1,000 and 10,000 routes
./taskw bench -- --routes 1,100 --edits 30     a shorter run
./taskw bench -- --soak 10000                  memory over 10,000 edits
./taskw bench -- --burst 1000                  1,000 routes created at once
./taskw bench -- --policy 10000                a policy for all routes of a Gateway edited, with so many of them
./taskw bench -- --streams 1000                one xds_server with 1,000 connected streams
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shared.runtime import logs
from shared.runtime.config import Logging
from tests.bench.bare_ads import measure as envoy_cost
from tests.bench.scenario import Burst, PolicyEdits, Result, Soak, Streams, burst, measure, policy_edits, soak, streams
from tests.bench.tables import markdown


def table(results: list[Result]) -> str:
    """Markdown."""
    columns = (
        "routes",
        "edit to ACK p50 / p99 ms",
        "of it Envoy's own p50 / p99 ms",
        "edit to commit p50 ms",
        "its backend's endpoints p50 / p99 ms",
        "endpoints that all other routes share p50 ms",
        "CPU per edit ms",
        "memory MiB",
        "cold start s",
        "of it Envoy's own s",
    )
    cells = (
        (
            f"{r.routes:,}",
            f"{r.edit_p50_ms:.1f} / {r.edit_p99_ms:.1f}",
            f"{r.envoy_p50_ms:.1f} / {r.envoy_p99_ms:.1f}",
            f"{r.commit_p50_ms:.1f}",
            f"{r.backend_p50_ms:.1f} / {r.backend_p99_ms:.1f}",
            f"{r.shared_backend_p50_ms:.0f}",
            f"{sum(r.cpu_per_edit_ms.values()):.1f}",
            f"{sum(r.memory_mib.values()):.0f}",
            f"{r.cold_start_s:.1f}",
            f"{r.envoy_cold_start_s:.1f}",
        )
        for r in results
    )
    return markdown(columns, cells)


def streams_table(r: Streams) -> str:
    """Markdown."""
    columns = (
        "streams",
        "connected s",
        "endpoints until all have acknowledged p50 / p99 ms",
        "a route p50 / p99 ms",
        "xds_server's CPU per change ms",
        "its memory MiB",
    )
    cells = (
        f"{r.streams:,}",
        f"{r.connect_s:.1f}",
        f"{r.endpoints_p50_ms:.0f} / {r.endpoints_p99_ms:.0f}",
        f"{r.edit_p50_ms:.0f} / {r.edit_p99_ms:.0f}",
        f"{r.cpu_per_edit_ms:.0f}",
        f"{r.memory_mib:.0f}",
    )
    return markdown(columns, [cells])


def soak_text(r: Soak) -> str:
    """A line a service."""
    return "\n".join(f"{n:<20} {start:7.1f} MiB -> {r.end_mib[n]:7.1f} MiB after {r.edits:,} edits" for n, start in r.start_mib.items())


def burst_text(r: Burst) -> str:
    return f"{r.routes:,} routes created at once: {r.seconds:.2f} s until all were acknowledged, in {r.versions} versions"


def policy_table(r: PolicyEdits) -> str:
    """Markdown."""
    columns = (
        "routes",
        "about requests: to ACK p50 / p99 ms",
        "to commit p50 ms",
        "CPU ms",
        "about clusters: to ACK p50 ms",
        "to commit p50 ms",
        "CPU ms",
    )
    cells = (
        f"{r.routes:,}",
        f"{r.requests_p50_ms:.0f} / {r.requests_p99_ms:.0f}",
        f"{r.requests_commit_p50_ms:.1f}",
        f"{sum(r.requests_cpu_ms.values()):.0f}",
        f"{r.clusters_p50_ms:.0f}",
        f"{r.clusters_commit_p50_ms:.1f}",
        f"{sum(r.clusters_cpu_ms.values()):.0f}",
    )
    return markdown(columns, [cells])


async def sizes(options: argparse.Namespace) -> list[Result]:
    """The table's rows, one a number of routes."""
    results = []
    for routes in (int(r) for r in options.routes.split(",")):
        print(f"{routes:,} routes …", file=sys.stderr, flush=True)
        envoy = await envoy_cost(routes, max(5, min(options.edits, 20)), "rendered")
        with tempfile.TemporaryDirectory() as folder:
            results.append(await measure(Path(folder), routes, options.edits, envoy))
        print(table(results[-1:]), file=sys.stderr, flush=True)
    return results


async def run(options: argparse.Namespace) -> tuple[str, object, str]:
    """What was measured, the figures, and how they read."""
    if not (options.soak or options.streams or options.burst or options.policy):
        results = await sizes(options)
        return "sizes", results, table(results)
    with tempfile.TemporaryDirectory() as folder:
        if options.soak:
            soaked = await soak(Path(folder), options.soak)
            return "soak", soaked, soak_text(soaked)
        if options.streams:
            served = await streams(Path(folder), options.streams, min(options.edits, 20))
            return "streams", served, streams_table(served)
        if options.policy:
            edited = await policy_edits(Path(folder), options.policy, min(options.edits, 10))
            return "policy", edited, policy_table(edited)
        made = await burst(Path(folder), options.burst)
        return "burst", made, burst_text(made)


def main() -> int:
    logs.configure("bench", Logging(level={"default": "warn"}))
    parser = argparse.ArgumentParser(prog="./taskw bench --", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", default="1,100,1000,10000", help="comma-separated sizes")
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--soak", type=int, default=0, metavar="EDITS", help="measure memory over so many edits instead")
    parser.add_argument("--burst", type=int, default=0, metavar="ROUTES", help="create so many routes at once instead")
    parser.add_argument("--policy", type=int, default=0, metavar="ROUTES", help="edit a policy for so many routes instead")
    parser.add_argument("--streams", type=int, default=0, metavar="STREAMS", help="measure with so many connected streams instead")
    parser.add_argument("--json", type=Path, help="where the figures go; default build/bench.json, or build/bench-<what>.json")
    options = parser.parse_args()
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cpus": os.cpu_count(), "python": platform.python_version()}
    what, figures, text = asyncio.run(run(options))
    print(text)
    path = options.json or Path("build") / ("bench.json" if what == "sizes" else f"bench-{what}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"about": about, what: figures})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
