"""Whatever happened to a cluster's objects and to our processes meanwhile: in the end all is as after a first start.

Objects of many kinds are written and deleted at random while services, NATS and the API server are killed. Then everything that Headgate
has is thrown away, its bus and its proxies, and it starts on the same objects: no status is written again, and the proxies get what they
had.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
from collections.abc import Mapping
from typing import Any

import pytest

from shared.runtime.settings import SERVICES
from shared.testing.wait import until
from tests.kube.any_objects import G, Object, gateway, pool, route
from tests.kube.pipeline import ClusterPipeline

pytestmark = pytest.mark.timeout(400)

STEPS = 120
SEEDS = [int(s) for s in os.environ.get("HEADGATE_HISTORIES", "1,2").split(",")]

HELD_WHILE_DRAINING = {"dynamic_active_secrets", "dynamic_route_configs"}
"""What a proxy still has of a listener that it was told to close."""


class History:
    """What is done to a cluster and to the services that look after it."""

    def __init__(self, p: ClusterPipeline, seed: int) -> None:
        self.p = p
        self.dice = random.Random(seed)
        self.pool = pool(p.port, p.tls_port)
        self.there: set[tuple[str, str]] = set()

    def _path(self, obj: Object) -> str:
        return self.p.path(obj["apiVersion"], obj["kind"])

    def put(self, obj: Object) -> None:
        if obj["kind"] in ("Service", "Secret"):
            # a type cannot be changed in place, nor a cluster IP be given back
            self.delete(obj)
        self.p.put(obj)
        self.there.add((self._path(obj), obj["metadata"]["name"]))

    def delete(self, obj: Object) -> None:
        key = self._path(obj), obj["metadata"]["name"]
        if key in self.there:
            self.p.cluster.delete("/".join(key))
            self.there.discard(key)

    async def step(self) -> None:
        if self.dice.random() < 0.04:
            self.p.nats.kill()
            self.p.nats.start()
        if self.dice.random() < 0.08:
            name = self.dice.choice(SERVICES)
            self.p.kill(name)
            self.p.start(name)
        if self.dice.random() < 0.02:
            self.p.cluster.kill()
            await asyncio.to_thread(self.p.cluster.start)
        obj = self.dice.choice(self.dice.choice(self.pool))
        match self.dice.randrange(6):
            case 0:
                await asyncio.to_thread(self.delete, obj)
            case 1:
                await asyncio.to_thread(self.delete, obj)
                await asyncio.to_thread(self.put, obj)
            case _:
                await asyncio.to_thread(self.put, obj)
        await asyncio.sleep(self.dice.random() * 0.2)  # the pace of the history, not a wait for anything

    def objects(self) -> dict[str, Object]:
        """What the API server holds: every object with its status, and with its version, which tells whether it was written again. A
        Gateway's is, as its proxies come and go."""
        paths = {path for path, _ in self.there} | {self.p.path(f"{G}/v1", "GatewayClass")}
        found = [(p, o) for p in sorted(paths) for o in self.p.cluster.get(p)["items"]]
        return {f"{p}/{o['metadata']['name']}": held(p, o) for p, o in found}


def held(path: str, obj: Object) -> Object:
    if not path.endswith("/gateways"):
        return {"version": obj["metadata"]["resourceVersion"], "status": obj.get("status")}
    found = json.dumps(obj["status"], sort_keys=True)
    return {"status": json.loads(re.sub(r'"lastTransitionTime": "[^"]*"', '"lastTransitionTime": ""', found))}


async def settled(h: History) -> tuple[dict[str, Object], Mapping[str, Any]]:
    """Objects and what the proxy holds, when neither has changed for a while."""
    seen: list[Any] = []

    async def still() -> bool:
        now = await asyncio.to_thread(h.objects), await h.p.proxy_config()
        if seen and seen[0] != now:
            seen.clear()
        seen.append(now)
        programmed = h.p.conditions("gw", "Gateway")["Programmed"]
        assert programmed["status"] == "True", programmed
        return len(seen) >= 10

    await until(still, 120, every=0.5)
    found: tuple[dict[str, Object], Mapping[str, Any]] = seen[0]
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_history_ends_where_a_first_start_ends(p: ClusterPipeline, seed: int) -> None:
    h = History(p, seed)
    for _ in range(STEPS):
        await h.step()
    h.put(gateway(p.port, p.tls_port, tls=True))
    h.put(route("last", "/last", "s0"))
    await until(lambda: p.conditions("last"), 60)
    objects, config = await settled(h)
    p.kill("infra-manager")
    for pid in p.envoy_pids():
        os.kill(pid, signal.SIGKILL)
    for name in list(p.processes):
        p.kill(name)
    p.nats.restart(wipe=True)
    p.start()

    async def as_before() -> bool:
        return await p.proxy_config() == config

    with contextlib.suppress(AssertionError):  # what differs is said below
        await until(as_before, 60)
    fresh_objects, fresh_config = await settled(h)
    left = {name for name in config if name not in fresh_config}
    assert {name.partition("/")[0] for name in left} <= HELD_WHILE_DRAINING
    assert fresh_config == {name: body for name, body in config.items() if name not in left}
    assert fresh_objects == objects
