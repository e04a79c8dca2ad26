"""Reading a last-value table: the whole of it first, then changes, across outages and wiped disks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from shared.bus.connection import Bus
from shared.bus.feed import Feed
from shared.bus.wire import Entry, stream_of
from shared.core.digest import digest

_UNKNOWN = "?"  # the digest of what an earlier life had: equal to nothing


async def read_all(bus: Bus, stream: str, filters: Sequence[str]) -> dict[str, Entry]:
    """The last value (or tombstone) of every subject that matches, now."""
    feed = Feed(bus, stream, filters)
    found: dict[str, Entry] = {}
    try:
        while True:
            part = await feed.next()
            if part.reset:
                found.clear()
            found.update(part.messages)
            if part.caught_up:
                return found
    finally:
        await feed.close()


class TableBatch(NamedTuple):
    """What changed since the previous batch: subject -> value, None = deleted by its writer.

    `reset`: the first batch, or the first of a new incarnation of the stream. It holds only what differs from what was handed out before;
    what a wiped stream no longer holds is not reported as deleted, unless its writer has closed the list (ResourceReader).
    """

    changes: dict[str, Entry | None]
    caught_up: bool
    incarnation: str
    reset: bool


class TableReader:
    """`async for batch in TableReader(bus, ["facts.>"])`. The first batch is the whole table; later ones coalesce what has arrived."""

    def __init__(self, bus: Bus, filters: Iterable[str]) -> None:
        self._filters = list(filters)
        self._feed = Feed(bus, stream_of(self._filters[0]).name, self._filters)
        self._handed: dict[str, str] = {}
        self._present: set[str] = set()
        self._pending: dict[str, Entry | None] = {}
        self._reset = False

    def __aiter__(self) -> TableReader:
        return self

    async def __anext__(self) -> TableBatch:
        while True:
            part = await self._feed.next()
            if part.reset:
                self._begin()
            for subject, entry in part.messages:
                self._stage(subject, entry)
            if part.caught_up and self._complete():
                batch = self._batch(part.incarnation)
                if batch.changes or batch.reset:
                    return batch

    def assume(self, subjects: Iterable[str]) -> None:
        """Subjects that the caller has from an earlier life: if their writer has deleted them meanwhile, the first batch says so."""
        self._handed.update(dict.fromkeys(subjects, _UNKNOWN))

    async def close(self) -> None:
        await self._feed.close()

    def _begin(self) -> None:
        self._reset = True
        self._present.clear()
        self._pending.clear()

    def _complete(self) -> bool:
        """Whether what is staged may be handed out."""
        return True

    def _whole(self) -> bool:
        """Whether what a new reading lacks was deleted: only its writer can know."""
        return False

    def _stage(self, subject: str, entry: Entry) -> None:
        if entry.deleted:
            self._present.discard(subject)
            self._pending[subject] = None
        else:
            self._present.add(subject)
            self._pending[subject] = entry

    def _batch(self, incarnation: str) -> TableBatch:
        reset, self._reset = self._reset, False
        if reset and self._whole():
            self._pending.update(dict.fromkeys(self._handed.keys() - self._present))
        changes: dict[str, Entry | None] = {}
        for subject, entry in self._pending.items():
            now = digest(entry.value) if entry is not None else None
            if self._handed.get(subject) == now:  # refreshed, repaired, or deleted before we knew it
                continue
            changes[subject] = entry
            if now is None:
                del self._handed[subject]
            else:
                self._handed[subject] = now
        self._pending = {}
        return TableBatch(changes, True, incarnation, reset)
