"""Statuses onto a cluster's objects, and kept there: what somebody takes away, or a new object of an old name lacks, is written again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import structlog

from services.resource_watcher.providers.kubernetes import statuses
from shared.core.refs import ObjectRef
from shared.kube.client import CONFLICT, NOT_FOUND, Kube, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource

log = structlog.get_logger("kubernetes-statuses")

TRIES = 5
AT_ONCE = 8


class Held(NamedTuple):
    """What the server holds, as far as is known."""

    version: str
    status: dict[str, Any]


class StatusWriter:
    """Level-triggered: `write` says what an object's status should be, `see` what it is. Only differences are written."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._desired: dict[ObjectRef, dict[str, Any] | None] = {}
        self._resources: dict[ObjectRef, Resource] = {}
        self._held: dict[ObjectRef, Held] = {}
        self._applied: dict[ObjectRef, dict[str, Any] | None] = {}
        self._busy: dict[ObjectRef, asyncio.Lock] = {}
        self._lost: dict[ObjectRef, None] = {}
        self._wake = asyncio.Event()

    def see(self, ref: ObjectRef, resource: Resource, found: Mapping[str, Any] | None) -> None:
        """An object as a watch tells it: most writes need not ask for it."""
        if not resource.statuses:
            return
        if found is None:
            self._held.pop(ref, None)
            self._applied.pop(ref, None)
            return
        held = _held(found)
        if self._newest(ref, held) is held:
            self._resources[ref] = resource
            self._look(ref)

    def ours(self, ref: ObjectRef) -> dict[str, Any] | None:
        """What of an object's status is ours."""
        held = self._held.get(ref)
        return statuses.ours(held.status, self._controller) if held is not None else None

    def hold(self, ref: ObjectRef, status: dict[str, Any]) -> None:
        """A status that was found there is to stay."""
        self._desired[ref] = status
        self._look(ref)

    async def write(self, kube: Kube, ref: ObjectRef, resource: Resource, status: dict[str, Any] | None) -> None:
        """Returns when the status is there, or cannot be: then the log says why."""
        self._desired[ref] = status
        self._resources[ref] = resource
        await self._settle(kube, ref)
        if status is None and self._desired.get(ref) is None:
            self._desired.pop(ref, None)

    async def keep(self, kube: Kube) -> None:
        """Writes again what got lost, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._lost:
                some = [self._lost.popitem()[0] for _ in range(min(AT_ONCE, len(self._lost)))]
                log.info("statuses_lost", count=len(some), first=str(some[0]))
                await asyncio.gather(*(self._settle(kube, ref) for ref in some))

    def _look(self, ref: ObjectRef) -> None:
        """Whether an object has what it should have. Of one that is being written, who writes it looks in the end."""
        desired, held = self._desired.get(ref), self._held.get(ref)
        if desired is not None and held is not None and ref not in self._busy and not self._right(desired, held):
            self._applied.pop(ref, None)
            self._lost[ref] = None
            self._wake.set()

    async def _settle(self, kube: Kube, ref: ObjectRef) -> None:
        lock = self._busy.setdefault(ref, asyncio.Lock())
        try:
            async with lock:
                attempt = 0
                while not await self._attempt(kube, ref, attempt):
                    await retrying_pause(attempt)
                    attempt += 1
        finally:
            if not lock.locked():
                self._busy.pop(ref, None)

    async def _attempt(self, kube: Kube, ref: ObjectRef, attempt: int) -> bool:
        """Whether there is nothing left to do. Server-side apply of the status alone, for the version that was looked at."""
        resource, desired = self._resources[ref], self._desired.get(ref)
        held = self._held.get(ref) if attempt == 0 else None
        try:
            if held is None:
                held = self._newest(ref, _held(msgspec.json.decode(await kube.get(resource.path(ref)))))
            wanted = self._together(desired, held)
            if held.status == wanted or (self._applied.get(ref) == wanted and statuses.holds(held.status, wanted)):
                return True
            metadata = {"name": ref.name, "resourceVersion": held.version} | ({"namespace": ref.namespace} if ref.namespace else {})
            body = {"apiVersion": resource.api_version, "kind": ref.kind, "metadata": metadata, "status": wanted}
            answer = _held(await kube.apply(resource.path(ref, sub="status"), body))
            self._applied[ref] = wanted
            if self._newest(ref, answer) is answer:
                return True
        except Refused as e:
            if e.code == NOT_FOUND and self._held.get(ref, held) is held:
                return True  # and has not been made anew meanwhile
            if e.code != CONFLICT and attempt >= TRIES:
                log.error("status_refused", object=str(ref), error=str(e))
                return True
        except (Unreachable, msgspec.DecodeError) as e:
            log.warning("status_not_written", object=str(ref), error=str(e))
        with suppress(KeyError):
            del self._held[ref]
        return False

    def _newest(self, ref: ObjectRef, held: Held) -> Held:
        """What is known of an object with this: a watch and answers tell of it in any order."""
        known = self._held.get(ref)
        if known is None or not _older(held.version, known.version):
            self._held[ref] = held
        return self._held[ref]

    def _right(self, desired: Mapping[str, Any], held: Held) -> bool:
        return statuses.holds(held.status, self._together(desired, held))

    def _together(self, desired: Mapping[str, Any] | None, held: Held) -> dict[str, Any]:
        return statuses.together(desired, held.status, self._controller)


def _held(found: Mapping[str, Any]) -> Held:
    return Held((found.get("metadata") or {}).get("resourceVersion") or "", found.get("status") or {})


def _older(one: str, other: str) -> bool:
    """Resource versions of one kind grow; what is no number is compared with nothing."""
    return one.isdecimal() and other.isdecimal() and int(one) < int(other)
