"""Whatever dies: proxies keep serving, no edit is lost, no version is served half."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.runtime.settings import SERVICES
from shared.testing.wait import until
from tests.integration.conftest import Running
from tests.integration.pipeline import Pipeline, Traffic, echo

pytestmark = pytest.mark.timeout(240)


async def commit(p: Pipeline) -> dict[str, Any]:
    found = await p.stream("IR", "ir.xds.*.*.commit")
    return msgspec.json.decode(next(iter(found.values()))) if found else {}


async def test_nats_may_come_last(tmp_path: Path) -> None:
    async with echo("one") as port, Pipeline(tmp_path) as p:
        p.gateway()
        p.backend("one", port)
        p.route("good", "one", path="/good", answer="yes")
        p.start()

        async def all_wait() -> bool:
            return all([(await p.service_status(s))["reason"] == "waiting for NATS" for s in SERVICES])

        await until(all_wait)
        p.nats.start()
        await p.answers("/good", "yes", deadline=40)


@pytest.mark.parametrize("wipe", [False, True], ids=["same disk", "empty disk"])
async def test_nats_killed_and_back(fresh: Running, wipe: bool) -> None:
    p = fresh.p
    before = await commit(p)
    async with Traffic(f"http://127.0.0.1:{p.port}/good") as traffic:
        p.nats.kill()
        p.route("late", "one", path="/late", answer="while away")
        sent = traffic.sent
        await until(lambda: traffic.sent > sent + 50)
        p.nats.restart(wipe=wipe)
        await p.answers("/late", "while away", deadline=40)
        p.route("late", "one", path="/late", answer="afterwards")
        await p.answers("/late", "afterwards")
    assert traffic.failures == []
    after = await commit(p)
    assert (after["incarnation"] == before["incarnation"]) is not wipe


async def test_a_restart_without_a_change_publishes_and_sends_nothing(fresh: Running) -> None:
    p = fresh.p
    await until(lambda: _quiet(p))
    async with p.bus() as bus:
        before = {name: (await bus.api(f"STREAM.INFO.{name}"))["state"]["last_seq"] for name in ("IR",)}
        statuses = await p.stream("STATUS", "status.gateway_networking_k8s_io.>")
        admin = await p.admin()
        stats = await _updates(p, admin)
        for service in ("translator", "resource-watcher", "infra-manager", "xds-server"):
            p.stop(service)
            p.start(service)

            async def back(service: str = service) -> bool:
                return bool((await p.service_status(service))["ready"])

            await until(back, 20)
        p.route("mark", "one", path="/mark", answer="1")
        await p.answers("/mark", "1")
        assert (await bus.api("STREAM.INFO.IR"))["state"]["last_seq"] == before["IR"] + 2, "the new route's shard and its commit alone"
    after = await _updates(p, admin)
    assert {k: after[k] - stats[k] for k in stats} == {"cds": 1, "lds": 0}, "one new cluster, and no listener touched"
    now = await p.stream("STATUS", "status.gateway_networking_k8s_io.>")
    assert {k: v for k, v in now.items() if k in statuses and "Gateway" not in k} == {
        k: v for k, v in statuses.items() if "Gateway" not in k
    }


async def _quiet(p: Pipeline) -> bool:
    """The Gateway is Programmed: statuses have come full circle."""
    return p.conditions("gw", "Gateway").get("Programmed", {}).get("status") == "True"


async def _updates(p: Pipeline, admin: str) -> dict[str, int]:
    text = (await p.client.get(f"{admin}/stats?filter=(cluster_manager.cds|listener_manager.lds).update_success")).text
    found = dict(line.split(": ") for line in text.splitlines() if line)
    return {"cds": int(found["cluster_manager.cds.update_success"]), "lds": int(found["listener_manager.lds.update_success"])}


@pytest.mark.parametrize("seed", [1, 2])
async def test_services_killed_at_random_in_a_stream_of_edits(fresh: Running, seed: int) -> None:
    p, dice = fresh.p, random.Random(seed)
    async with Traffic(f"http://127.0.0.1:{p.port}/good") as traffic:
        edits = asyncio.create_task(_edit(p, dice, 60))
        for service in dice.sample(SERVICES, 4) + dice.sample(SERVICES, 2):
            sent = traffic.sent
            pause = dice.randrange(5, 40)
            await until(lambda sent=sent, pause=pause: traffic.sent > sent + pause)  # type: ignore[misc]
            p.kill(service)
            p.start(service)
        last = await edits
        for name, answer in last.items():
            await p.answers(f"/{name}", answer, deadline=40)
    assert traffic.failures == []
    lived = await p.proxy_config()
    assert len(lived) > len(last), "a dump of listeners, routes, clusters and endpoints"
    p.kill("infra-manager")
    for pid in p.envoy_pids():
        os.kill(pid, signal.SIGKILL)
    for service in SERVICES:
        if service in p.processes:
            p.kill(service)
    p.nats.restart(wipe=True)
    p.start()
    for name, answer in last.items():
        await p.answers(f"/{name}", answer, deadline=40)
    assert await p.proxy_config() == lived


async def _edit(p: Pipeline, dice: random.Random, count: int) -> dict[str, str]:
    """Random edits of a few routes; the last value of each that is there at the end."""
    last: dict[str, str] = {}
    for n in range(count):
        name = f"r{dice.randrange(6)}"
        if name in last and dice.random() < 0.2:
            (p.folder / f"route-{name}.yaml").unlink()
            del last[name]
        else:
            last[name] = f"v{n}"
            p.route(name, "one", path=f"/{name}", answer=f"v{n}")
        await asyncio.sleep(0.05)  # the pace of the stream, not a wait for anything
    return last


async def test_envoy_killed_comes_back(fresh: Running) -> None:
    p = fresh.p
    (before,) = p.envoy_pids()
    os.kill(before, signal.SIGKILL)
    await until(lambda: p.envoy_pids() not in ([], [before]))
    await p.answers("/good", "yes")


async def test_envoy_survives_everything_else(fresh: Running) -> None:
    p = fresh.p
    before = p.envoy_pids()
    async with Traffic(f"http://127.0.0.1:{p.port}/good") as traffic:
        for service in list(p.processes):
            p.kill(service)
        p.nats.kill()
        sent = traffic.sent
        await until(lambda: traffic.sent > sent + 50)
        p.nats.start()
        p.start()
        p.route("after", "one", path="/after", answer="all died")
        await p.answers("/after", "all died", deadline=40)
    assert traffic.failures == []
    assert p.envoy_pids() == before


async def test_two_translators_and_a_stale_one_that_comes_back(fresh: Running) -> None:
    p = fresh.p
    p.start_second("translator", "translator-b")

    async def stands_by() -> bool:
        return "standing by" in (await p.service_status("translator-b"))["reason"]

    await until(stands_by)
    first = await commit(p)
    async with Traffic(f"http://127.0.0.1:{p.port}/good") as traffic:
        p.processes["translator"].send_signal(signal.SIGSTOP)
        p.route("taken", "one", path="/taken", answer="by b")
        await p.answers("/taken", "by b", deadline=40)
        second = await commit(p)
        assert second["epoch"] > first["epoch"]
        p.processes["translator"].send_signal(signal.SIGCONT)

        async def gave_up() -> bool:
            return "standing by" in (await p.service_status("translator"))["reason"]

        await until(gave_up, 20)
        p.route("taken", "one", path="/taken", answer="still by b")
        await p.answers("/taken", "still by b")
    assert traffic.failures == []
    assert (await commit(p))["epoch"] == second["epoch"]


async def test_stop_is_graceful_and_quick(fresh: Running) -> None:
    for service in SERVICES:
        process = fresh.p.processes[service]
        fresh.p.stop(service)
        assert process.returncode == 0, fresh.p.log(service)[-2000:]
