"""What an operator sees: one trace through all services, metrics with their names, and a stage that is behind saying so."""

from __future__ import annotations

import json
from typing import Any

from shared.runtime.settings import SERVICES
from shared.testing.wait import until
from tests.integration.conftest import Running

METRICS = {
    "resource-watcher": ("status_update_total", "watchable_subscribe_total"),
    "translator": ("watchable_subscribe_duration_seconds",),
    "xds-server": ("xds_snapshot_create_total", "xds_snapshot_update_total", "xds_stream_duration_seconds"),
    "infra-manager": ("headgate_fleets",),
}


def events(running: Running, service: str) -> list[dict[str, Any]]:
    lines = running.p.log(service).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


async def ops(running: Running, service: str, path: str) -> str:
    note = json.loads((running.p.layout.notes / f"{service}.json").read_text())
    return (await running.p.client.get(note["ops"] + path)).text


async def test_one_trace_leads_from_the_file_to_the_proxy(fresh: Running) -> None:
    fresh.p.route("traced", "one", path="/traced", answer="1")
    await fresh.p.answers("/traced", "1")
    first = next(e for e in events(fresh, "resource-watcher") if e["event"] == "published" and "traced" in e["first"])

    def followed() -> bool:
        return all(any(e.get("trace") == first["trace"] for e in events(fresh, s)) for s in ("translator", "xds-server"))

    await until(followed)


async def test_every_service_tells_its_health_and_metrics(fresh: Running) -> None:
    for service in SERVICES:
        assert await ops(fresh, service, "/healthz") == "ok\n"
        await until(lambda service=service: _ready(fresh, service))  # type: ignore[misc]
        text = await ops(fresh, service, "/metrics")
        for name in ("headgate_oldest_change_age_seconds", "process_resident_memory_bytes", *METRICS[service]):
            assert f"\n# TYPE {name.removesuffix('_total')}" in "\n" + text or f"\n# TYPE {name}" in "\n" + text, (service, name)


async def _ready(running: Running, service: str) -> bool:
    return await ops(running, service, "/readyz") == "ok\n"


async def test_a_stage_that_cannot_pass_a_change_on_says_how_old_it_is(fresh: Running) -> None:
    p = fresh.p
    p.nats.kill()
    p.route("late", "one", path="/late", answer="1")

    async def behind() -> bool:
        return bool((await p.service_status("resource-watcher"))["oldestChangeAgeSeconds"] > 0.5)

    await until(behind)
    p.nats.start()

    async def caught_up() -> bool:
        return bool((await p.service_status("resource-watcher"))["oldestChangeAgeSeconds"] == 0)

    await until(caught_up, 20)
    await p.answers("/late", "1")
