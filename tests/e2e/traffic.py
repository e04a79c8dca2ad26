"""Steady requests to one address, as a program of its own, because it has to run where the address is reachable.

    python traffic.py ADDRESS PORT HOST RATE

Runs until SIGTERM, then prints one JSON object: {"sent", "retried", "failed": [[time, text], …], "pods": {name: time of its first answer},
"slowest": seconds}; times are seconds since 1970. Connections are kept and used again, as clients do; every tenth request opens a new
one. A request that meets a connection that breaks under it is sent once more, and counted in `retried`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import Any

import aiohttp

NEW_EVERY = 10


async def main(address: str, port: int, host: str, rate: float) -> dict[str, Any]:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    failed: list[tuple[float, str]] = []
    pods: dict[str, float] = {}
    counts = {"sent": 0, "retried": 0}
    slowest = 0.0
    url = f"http://{address}:{port}/"

    async def ask(session: aiohttp.ClientSession, *, new: bool) -> str:
        headers = {"Host": host, "Connection": "close"} if new else {"Host": host}
        async with session.get(url, headers=headers) as answer:
            body = await answer.read()
            if answer.status != 200:
                return f"{answer.status}: {body[:200]!r}"
            pods.setdefault(str(json.loads(body).get("pod", "")), time.time())
            return ""

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal slowest
        began, at = time.monotonic(), time.time()
        counts["sent"] += 1
        try:
            try:
                trouble = await ask(session, new=number % NEW_EVERY == 0)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                counts["retried"] += 1
                trouble = await ask(session, new=True)
        except (aiohttp.ClientError, TimeoutError, ValueError) as e:
            trouble = f"{type(e).__name__}: {e}"
        slowest = max(slowest, time.monotonic() - began)
        if trouble:
            failed.append((at, trouble))

    tasks: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        due, number = time.monotonic(), 0
        while not stop.is_set():
            number += 1
            task = asyncio.create_task(one(session, number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*tasks)
    return {**counts, "failed": failed, "pods": pods, "slowest": round(slowest, 3)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])))))
