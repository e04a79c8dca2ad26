"""What becomes of the statuses of the bus: written where they differ from what is there, and otherwise held."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import msgspec
import pytest

from services.resource_watcher.provider import Provider
from services.resource_watcher.status_writing import Statuses
from shared.core.refs import ObjectRef
from shared.testing.wait import until

pytestmark = pytest.mark.timeout(20)

REF = ObjectRef("g", "Route", "ns", "r")
SUBJECT = "status.g.Route.ns.r.ns_gw"
THERE = {"parents": [{"controllerName": "c", "parentRef": {"name": "gw"}, "conditions": [{"type": "A", "status": "True"}]}]}
OTHER = {"parents": [{"controllerName": "c", "parentRef": {"name": "gw"}, "conditions": [{"type": "A", "status": "False"}]}]}


class Remembering:
    """A provider that has one object, with this status."""

    def __init__(self, status: dict[str, Any] | None) -> None:
        self.status = status
        self.done: list[str] = []

    async def read_status(self, ref: ObjectRef) -> dict[str, Any] | None:
        assert ref == REF
        return self.status

    async def write_status(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        assert ref == REF
        self.status = status
        self.done.append("written")

    def hold_status(self, ref: ObjectRef, status: dict[str, Any]) -> None:
        assert (ref, status) == (REF, self.status)
        self.done.append("held")


def timed(status: dict[str, Any]) -> dict[str, Any]:
    """As it stands at the provider."""
    found = msgspec.json.decode(msgspec.json.encode(status))
    for parent in found["parents"]:
        for condition in parent["conditions"]:
            condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    return cast("dict[str, Any]", found)


@pytest.mark.parametrize(
    ("there", "told", "done"),
    [
        (None, [THERE], ["written"]),
        (timed(THERE), [THERE], ["held"]),
        (timed(THERE), [THERE, THERE, OTHER], ["held", "written"]),
        (timed(THERE), [OTHER, None], ["written", "written"]),
        (None, [None], []),
    ],
    ids=["new", "there already", "changed later", "withdrawn", "never there"],
)
async def test_a_status_is_written_once_or_held(there: dict[str, Any] | None, told: list[dict[str, Any] | None], done: list[str]) -> None:
    provider = Remembering(there)
    statuses = Statuses(cast("Provider", provider))
    task = asyncio.create_task(statuses.write())
    try:
        for n, part in enumerate(told):
            before = len(provider.done)
            statuses.take(SUBJECT, msgspec.json.encode({"status": part}) if part is not None else None)
            await until(lambda: not statuses.busy, deadline=10)
            assert len(provider.done) - before <= 1, f"told {n} times"
        assert provider.done == done
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
