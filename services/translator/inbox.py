"""Collects what arrives from several subjects while a translation is under way: the latest value wins, nothing is lost."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from shared.bus.connection import Bus
from shared.bus.resources import SYNC, ResourceReader
from shared.bus.table import TableReader
from shared.bus.wire import TRACE
from shared.core import names
from shared.core.digest import digest
from shared.core.facts import FACTS, Answer, Question
from shared.core.refs import GatewayRef, ObjectRef
from shared.ir.status import InfraStatus, XdsStatus

log = structlog.get_logger("translator")

T = TypeVar("T", bound=msgspec.Struct)

ABSENT = b'{"absent":true}'


class Arrived(NamedTuple):
    """What came since the last `take`. Values None are deletions; `absent` are wants answered so. `causes` as a commit names them."""

    objects: dict[ObjectRef, bytes | None]
    absent: set[ObjectRef]
    infra: dict[GatewayRef, InfraStatus | None]
    xds: dict[tuple[GatewayRef, str], XdsStatus | None]
    facts: dict[Question, Answer]
    causes: list[str]
    trace: str


def _empty() -> Arrived:
    return Arrived({}, set(), {}, {}, {}, [], "")


class Inbox:
    """`take` waits for something, and the first time until every source has told all that it holds."""

    def __init__(self, bus: Bus) -> None:
        self._resources = ResourceReader(bus)
        self._infra = TableReader(bus, ["status.infra.*.*"])
        self._xds = TableReader(bus, ["status.xds.*.*.*"])
        self._arrived = _empty()
        self._wake = asyncio.Event()
        self._facts = TableReader(bus, [f"{FACTS}.*.*"])
        self._waiting_for = {"resources", "infrastructure", "proxies", "facts"}

    @property
    def waiting_for(self) -> frozenset[str]:
        """Sources that have not told their first whole state."""
        return frozenset(self._waiting_for)

    async def take(self) -> Arrived:
        await self._wake.wait()
        self._wake.clear()
        arrived, self._arrived = self._arrived, _empty()
        return arrived

    async def close(self) -> None:
        for reader in (self._resources, self._infra, self._xds, self._facts):
            await reader.close()

    async def follow_resources(self) -> None:
        async for batch in self._resources:
            for subject, entry in batch.changes.items():
                if subject == SYNC:
                    continue
                ref = ObjectRef.from_subject(subject)
                self._arrived.absent.discard(ref)
                self._arrived.objects.pop(ref, None)
                if entry is not None and entry.value == ABSENT:
                    self._arrived.absent.add(ref)
                else:
                    self._arrived.objects[ref] = entry.value if entry is not None else None
                revision = digest(entry.value)[:8] if entry is not None else "deleted"
                self._arrived.causes.append(f"{ref}@{revision}")
                if entry is not None and TRACE in entry.headers:
                    self._arrived = self._arrived._replace(trace=entry.headers[TRACE])
            self._told("resources")

    async def follow_infrastructure(self) -> None:
        async for batch in self._infra:
            for subject, entry in batch.changes.items():
                namespace, name = (names.unescape(t) for t in subject.split(".")[2:4])
                self._arrived.infra[GatewayRef(namespace, name)] = _decode(subject, entry.value, InfraStatus) if entry is not None else None
            self._told("infrastructure")

    async def follow_proxies(self) -> None:
        async for batch in self._xds:
            for subject, entry in batch.changes.items():
                namespace, name, replica = (names.unescape(t) for t in subject.split(".")[2:5])
                value = _decode(subject, entry.value, XdsStatus) if entry is not None else None
                self._arrived.xds[GatewayRef(namespace, name), replica] = value
            self._told("proxies")

    async def follow_facts(self) -> None:
        async for batch in self._facts:
            for subject, entry in batch.changes.items():
                answer = _decode(subject, entry.value, Answer) if entry is not None else None
                if answer is not None:
                    self._arrived.facts[Question.of(subject.split(".")[1], answer.asked)] = answer
            self._told("facts")

    def _told(self, source: str) -> None:
        self._waiting_for.discard(source)
        if not self._waiting_for:
            self._wake.set()


def _decode(subject: str, value: bytes, kind: type[T]) -> T | None:
    """None for what cannot be read: a status of another release is as good as none."""
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.DecodeError as e:
        log.warning("unreadable_status", subject=subject, error=str(e))
        return None
