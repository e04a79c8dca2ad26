"""Answers questions for as long as somebody asks them: an answer is looked after, and the last one stays while there is no new one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from shared.bus.connection import Bus
from shared.bus.errors import Unavailable
from shared.bus.table import TableReader, TableWriter
from shared.bus.waiting import end
from shared.core.facts import FACTS, WANTS, Answer

log = structlog.get_logger("facts")

FRESH = 600.0
"""Seconds after which an answer is asked for again."""
SOONEST, LATEST = 1.0, 60.0
"""Seconds until the next try after none."""


class Unanswered(Exception):
    """No answer now; the text says why. It is asked again. `reason` is a word for metrics."""

    def __init__(self, text: str, reason: str = "download_error") -> None:
        super().__init__(text)
        self.reason = reason


Source = Callable[[dict[str, Any], dict[str, Any] | None], Awaitable[dict[str, Any]]]
"""What was asked, and the last value -> the value. Raises Unanswered."""
Keep = Callable[[frozenset[str]], Awaitable[None]]
"""The names of all questions of a kind that are asked: what a source holds for others may go. Raises Unavailable."""


class Answering:
    """One term's. `sources` and `keepers` by kind of question."""

    def __init__(self, bus: Bus, epoch: int, sources: Mapping[str, Source], keepers: Mapping[str, Keep] | None = None) -> None:
        self._bus = bus
        self._sources = sources
        self._keepers = keepers or {}
        self._writer = TableWriter(bus, FACTS, epoch, exclusive=True)
        self._answers: dict[str, Answer | None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. Raises NoLongerWriter."""
        await self._writer.open()
        reader = TableReader(self._bus, [f"{WANTS}.*.*"])
        try:
            self._answers = await self._last()
            async with asyncio.TaskGroup() as group:
                try:
                    await self._follow(group, reader)
                finally:
                    await end(*self._tasks.values())  # the group itself would cancel them once
        except BaseExceptionGroup as e:
            raise e.exceptions[0] from None
        finally:
            await reader.close()
            await self._writer.close()

    async def _follow(self, group: asyncio.TaskGroup, reader: TableReader) -> None:
        first = True
        async for batch in reader:
            for subject, entry in batch.changes.items():
                await self._take(group, subject.removeprefix("wants."), entry.value if entry is not None else None)
            if first:
                first = False
                await self._forget(*(self._answers.keys() - self._tasks.keys()))

    async def _last(self) -> dict[str, Answer | None]:
        """What was answered before this term; None where it cannot be read."""
        reader = TableReader(self._bus, [f"{FACTS}.*.*"])
        try:
            batch = await anext(aiter(reader))
            return {subject: _read(entry.value) for subject, entry in batch.changes.items() if entry is not None}
        finally:
            await reader.close()

    async def _take(self, group: asyncio.TaskGroup, subject: str, body: bytes | None) -> None:
        if (task := self._tasks.pop(subject, None)) is not None:
            await end(task)
        if body is None:
            await self._forget(subject)
            return
        kind = subject.split(".")[1]
        self._tasks[subject] = group.create_task(self._look_after(subject, kind, body), name=subject)

    async def _forget(self, *subjects: str) -> None:
        for subject in subjects:
            self._answers.pop(subject, None)
        await self._writer.put(dict.fromkeys(subjects))
        for kind in {subject.split(".")[1] for subject in subjects} & self._keepers.keys():
            # not those that are answered: an answer that is being made counts, too
            asked = (subject.split(".") for subject in self._tasks)
            try:
                await self._keepers[kind](frozenset(name for _, own, name in asked if own == kind))
            except Unavailable as e:  # what is too much goes with the next that is not wanted any more
                log.warning("not_forgotten", kind=kind, error=str(e))

    async def _look_after(self, subject: str, kind: str, body: bytes) -> None:
        try:
            asked: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as e:
            log.warning("unreadable_question", subject=subject, error=str(e))
            return
        tries = 0
        while True:
            before = self._answers.get(subject)
            known = before.value if before is not None else None
            try:
                answer = Answer(asked, value=await self._source(kind)(asked, known))
                tries = 0
            except Unanswered as e:
                log.warning("unanswered", subject=subject, problem=str(e), again=tries > 0)
                answer = Answer(asked, value=known) if known is not None else Answer(asked, problem=str(e))
                tries += 1
            self._answers[subject] = answer
            await self._writer.put({subject: msgspec.json.encode(answer)})
            wait = FRESH if not tries else min(LATEST, SOONEST * 2 ** (tries - 1))
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))

    def _source(self, kind: str) -> Source:
        try:
            return self._sources[kind]
        except KeyError:
            raise Unanswered(f"nothing here answers questions of the kind {kind!r}") from None


def _read(value: bytes) -> Answer | None:
    try:
        return msgspec.json.decode(value, type=Answer)
    except msgspec.DecodeError:
        return None
