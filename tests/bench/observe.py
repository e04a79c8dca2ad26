"""What the benchmarks look at from outside: commits and acknowledgements as they pass on the bus, CPU and memory of processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

import psutil

from shared.bus.connection import Bus
from shared.bus.tap import tap


class Acks:
    """Follows one Gateway: `committed[v]` and `acked[v]` are perf_counter times."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.committed: dict[int, float] = {}
        self.acked: dict[int, float] = {}
        self.version = 0
        self.held = 0
        self.proxies = 0
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Acks:
        self._tasks = [asyncio.create_task(self._commits()), asyncio.create_task(self._statuses())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _commits(self) -> None:
        async for message in tap(self._bus, "ir.xds.*.*.commit", last_values=True):
            self.version = json.loads(message.value)["version"]
            self.committed.setdefault(self.version, time.perf_counter())
            self._moved.set()

    async def _statuses(self) -> None:
        async for message in tap(self._bus, "status.xds.>", last_values=True):
            proxies = json.loads(message.value).get("proxies", {}) if message.value else {}
            if proxies:
                self.held, self.proxies = min(proxies.values()), len(proxies)
                self.acked.setdefault(self.held, time.perf_counter())
                self._moved.set()

    async def after(self, version: int, deadline: float = 120.0) -> tuple[float, float]:
        """Times at which a version above `version` was committed, and at which every proxy had acknowledged it."""
        async with asyncio.timeout(deadline):
            while self.version <= version or self.held < self.version:
                self._moved.clear()
                await self._moved.wait()
        return self.committed[self.version], self.acked[self.held]


def cpu(pids: Mapping[str, int]) -> dict[str, float]:
    """Seconds of CPU that each process has used."""
    out = {}
    for name, pid in pids.items():
        times = psutil.Process(pid).cpu_times()
        out[name] = times.user + times.system
    return out


def memory(pids: Mapping[str, int]) -> dict[str, float]:
    """MiB of memory that is each process's own."""
    return {name: psutil.Process(pid).memory_full_info().uss / 2**20 for name, pid in pids.items()}


def percentile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]
