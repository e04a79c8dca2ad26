"""What is legal but seldom: things that happen while others are broken, files that move, folders that are swapped."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import ssl

import pytest

from services.cli.certgen import certificates
from shared.bus.wire import Outgoing
from shared.testing.wait import until
from tests.integration.conftest import Running
from tests.integration.pipeline import Pipeline, Traffic
from tests.integration.test_bad_input import TO_ONE, _https, _secret, route

pytestmark = pytest.mark.timeout(120)


async def certificate(port: int) -> bytes:
    """What a TLS listener shows now."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        return shown
    finally:
        writer.close()


async def restarted(p: Pipeline, *services: str) -> None:
    for service in services:
        p.kill(service)
        p.start(service)

        async def ready(service: str = service) -> bool:
            return bool((await p.service_status(service))["ready"])

        await until(ready, 20)


@pytest.mark.parametrize("broken", [b"this: [is\nbroken", b"\xff\xfe no UTF-8"])
async def test_a_restart_while_a_file_is_broken_keeps_what_it_held(fresh: Running, broken: bytes) -> None:
    p = fresh.p
    _, pairs = certificates(hosts=("localhost",))
    secret = _secret("cert", pairs["envoy"].certificate, pairs["envoy"].key)
    p.write("both.yaml", f"{secret}\n---\n{route('kept', '/kept', ref=TO_ONE)}")
    p.gateway(listeners=_https(p.tls_port, "cert"))
    shown = await until(lambda: certificate(p.tls_port), 20)
    (p.folder / "both.yaml").write_bytes(broken)
    await until(p.problems)
    async with Traffic(f"http://127.0.0.1:{p.port}/kept") as traffic:
        await restarted(p, "resource-watcher", "translator")
        p.route("after", "one", path="/after", answer="restarted")
        await p.answers("/after", "restarted")
        assert await certificate(p.tls_port) == shown
    assert traffic.failures == []
    p.write("both.yaml", secret)

    async def removed() -> bool:
        return (await p.get("/kept")).status_code == 404

    await until(removed)
    assert await certificate(p.tls_port) == shown


async def test_folders_that_come_and_go_are_no_trouble(fresh: Running) -> None:
    p = fresh.p
    watcher = p.processes["resource-watcher"]
    for n in range(100):
        folder = p.folder / f"churn{n % 3}" / "inner"
        folder.mkdir(parents=True)
        (folder / "route.yaml").write_text(route(f"churn{n}", f"/churn{n}"))
        await asyncio.sleep(0.005 * (n % 4))  # the pace, so that the watcher meets each moment
        shutil.rmtree(folder.parent)
    p.route("after", "one", path="/after", answer="churned")
    await p.answers("/after", "churned")
    assert watcher.poll() is None, p.log("resource-watcher")[-2000:]


async def test_a_status_that_went_while_nobody_wrote_statuses_goes_from_its_file(fresh: Running) -> None:
    p = fresh.p
    p.route("brief", "one", path="/brief", answer="1")
    await until(lambda: p.conditions("brief"))
    p.kill("translator")
    (p.folder / "route-brief.yaml").unlink()

    async def told() -> bool:
        """The route is gone, and the list is closed again: a translator acts on whole lists only."""
        held = dict(await p.stream("RESOURCES", "resources.>"))
        count = json.loads(held.pop("resources.sync"))["count"]
        return "resources.gateway_networking_k8s_io.HTTPRoute.default.brief" not in held and len(held) == count

    await until(told)
    p.kill("resource-watcher")
    p.start("translator")

    async def forgotten() -> bool:
        return not await p.stream("STATUS", "status.gateway_networking_k8s_io.HTTPRoute.default.brief.>")

    await until(forgotten, 20)
    assert p.conditions("brief")
    p.start("resource-watcher")
    await until(lambda: not p.conditions("brief"), 20)
    assert p.conditions("good")


async def test_a_watcher_that_slept_through_its_lease_stands_by(fresh: Running) -> None:
    p = fresh.p
    p.start_second("resource-watcher", "resource-watcher-b")

    async def stands_by(replica: str) -> bool:
        return "standing by" in (await p.service_status(replica))["reason"]

    await until(lambda: stands_by("resource-watcher-b"), 20)
    sleeper = p.processes["resource-watcher"]
    sleeper.send_signal(signal.SIGSTOP)
    p.route("taken", "one", path="/taken", answer="by b")
    await p.answers("/taken", "by b")
    sleeper.send_signal(signal.SIGCONT)
    await until(lambda: stands_by("resource-watcher"))
    assert sleeper.poll() is None
    p.kill("resource-watcher-b")
    p.route("taken", "one", path="/taken", answer="back")
    await p.answers("/taken", "back")


async def test_a_status_that_cannot_be_read_ends_no_watcher(fresh: Running) -> None:
    p = fresh.p
    watcher = p.processes["resource-watcher"]
    subject = "status.gateway_networking_k8s_io.HTTPRoute.default.good"
    async with p.bus() as bus:
        await bus.publish([Outgoing(f"{subject}.strange", value, {}) for value in (b"garbage", b"[3]", b'{"status": 3}')])
    p.route("after", "one", path="/after", answer="1")
    await until(lambda: p.conditions("after"))
    assert watcher.poll() is None
    assert p.conditions("good")


async def test_a_fleet_that_nobody_asked_for_is_taken_away_again(fresh: Running) -> None:
    p = fresh.p
    before = p.envoy_pids()
    async with p.bus() as bus:
        (real,) = (await p.stream("IR", "ir.infra.>")).values()
        for stranger in (real.replace(b'"default/gw"', b'"default/ghost"'), b"garbage"):
            await bus.publish([Outgoing("ir.infra.default.ghost", stranger, {})])

            async def gone() -> bool:
                return "ir.infra.default.ghost" not in await p.stream("IR", "ir.infra.>")

            await until(gone)
    await until(lambda: p.envoy_pids() == before, 30)
    assert (await p.get("/good")).status_code == 200
