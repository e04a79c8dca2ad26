"""A status that is to be on an object is there in the end, whatever becomes of the object while it is written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from services.resource_watcher.providers.kubernetes.writing import StatusWriter
from shared.core.refs import ObjectRef
from shared.kube.client import CONFLICT, NOT_FOUND, Kube, Refused
from shared.kube.discovery import Resource
from shared.testing.wait import until

CONTROLLER = "example.com/ours"
ROUTE = Resource("g", "Route", "g/v1", "/apis/g/v1", "routes", namespaced=True, statuses=True)
REF = ObjectRef("g", "Route", "ns", "r")
OURS = {"parents": [{"controllerName": CONTROLLER, "parentRef": {"name": "gw"}, "conditions": [{"type": "A", "status": "True"}]}]}
NEWER = {"parents": [{"controllerName": CONTROLLER, "parentRef": {"name": "gw"}, "conditions": [{"type": "A", "status": "False"}]}]}

pytestmark = pytest.mark.timeout(20)


class Server:
    """One object as an API server keeps it. `meanwhile` is done once, before or after a request is carried out, and always before its
    answer is known."""

    def __init__(self, writer: StatusWriter) -> None:
        self.writer = writer
        self.version = 0
        self.object: dict[str, Any] | None = None
        self.applied = 0
        self.before: Callable[[], None] | None = None
        self.after: Callable[[], None] | None = None

    def put(self, status: dict[str, Any] | None = None) -> None:
        """As a watch tells it."""
        self._store(status or {})
        self.writer.see(REF, ROUTE, self.object)

    def delete(self) -> None:
        self.object = None
        self.writer.see(REF, ROUTE, None)

    def replace(self) -> None:
        self.delete()
        self.put()

    async def get(self, path: str) -> bytes:
        if self.object is None:
            raise Refused(NOT_FOUND, "NotFound", path)
        return json.dumps(self.object).encode()

    async def apply(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._meanwhile("before")
        if self.object is None:
            self._meanwhile("after")
            raise Refused(NOT_FOUND, "NotFound", path)
        if body["metadata"]["resourceVersion"] != self.object["metadata"]["resourceVersion"]:
            raise Refused(CONFLICT, "Conflict", path)
        answer = self._store(body["status"])
        self.applied += 1
        self._meanwhile("after")
        return answer

    def _store(self, status: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.object = {"metadata": {"resourceVersion": str(self.version)}, "status": status}
        return self.object

    def _meanwhile(self, when: str) -> None:
        happens = getattr(self, when)
        setattr(self, when, None)
        if happens is not None:
            happens()

    @property
    def status(self) -> dict[str, Any]:
        assert self.object is not None
        found: dict[str, Any] = self.object["status"]
        return found


class Written:
    """A writer that keeps what it wrote, and its server."""

    def __init__(self) -> None:
        self.writer = StatusWriter(CONTROLLER)
        self.server = Server(self.writer)
        self.kube = cast("Kube", self.server)

    async def __aenter__(self) -> Written:
        self._task = asyncio.create_task(self.writer.keep(self.kube))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def write(self, status: dict[str, Any] | None = OURS) -> None:
        await self.writer.write(self.kube, REF, ROUTE, status)

    async def ends_with(self, status: dict[str, Any]) -> None:
        await until(lambda: self.server.status == status, deadline=10)


async def test_what_is_there_already_is_not_written_and_is_given_back() -> None:
    """As after a restart: an object in order, which is replaced later by one that says the same."""
    async with Written() as w:
        w.server.put(OURS)
        assert w.writer.ours(REF) == OURS
        w.writer.hold(REF, OURS)
        assert w.server.applied == 0
        w.server.replace()
        await w.ends_with(OURS)


async def test_what_was_lost_before_it_was_held_is_written() -> None:
    async with Written() as w:
        w.server.put(OURS)
        w.server.replace()
        w.writer.hold(REF, OURS)
        await w.ends_with(OURS)


def deleted(server: Server) -> None:
    server.before = server.delete


def replaced_before(server: Server) -> None:
    server.before = server.replace


def deleted_and_made_anew_after_the_refusal(server: Server) -> None:
    server.before, server.after = server.delete, server.put


def replaced_after(server: Server) -> None:
    server.after = server.replace


@pytest.mark.parametrize("race", [replaced_before, deleted_and_made_anew_after_the_refusal, replaced_after])
async def test_an_object_that_is_replaced_while_its_status_is_written_has_it(race: Callable[[Server], None]) -> None:
    async with Written() as w:
        w.server.put()
        race(w.server)
        await w.write()
        await w.ends_with(OURS)


async def test_of_an_object_that_is_gone_nothing_is_written() -> None:
    async with Written() as w:
        w.server.put()
        deleted(w.server)
        await w.write()
        assert (w.server.object, w.server.applied) == (None, 0)


async def test_the_latest_of_several_counts() -> None:
    async with Written() as w:
        w.server.put()
        await asyncio.gather(w.write(OURS), w.write(NEWER))
        await w.ends_with(NEWER)
        await w.write(None)
        await w.ends_with({"parents": []})
        w.server.put(OURS)
        assert w.server.status == OURS, "nothing is wanted there any more"
