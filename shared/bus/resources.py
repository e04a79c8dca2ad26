"""`resources.>`: the table that a translator may act on only when it is whole, closed by `resources.sync` (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import structlog

from shared.bus.connection import Bus
from shared.bus.table import TableReader, TableWriter
from shared.bus.wire import Entry

log = structlog.get_logger("bus")

PREFIX = "resources"
SYNC = "resources.sync"
_DOTS = 4  # resources.<group>.<kind>.<namespace>.<name>


class Sync(msgspec.Struct, frozen=True, omit_defaults=True):
    """`count` objects of `kinds` (`<group>/<kind>`) stand under `resources.>`, says the writer of `epoch`."""

    epoch: int
    kinds: tuple[str, ...]
    count: int


class ResourceWriter(TableWriter):
    """A TableWriter under `resources`, alone there. Once `sync` was called, each change of the count is followed by a new sync."""

    _kept = frozenset({SYNC})

    def __init__(self, bus: Bus, epoch: int) -> None:
        super().__init__(bus, PREFIX, epoch, exclusive=True)
        self._sync: Sync | None = None
        self._found: Sync | None = None

    async def sync(self, epoch: int, kinds: Iterable[str], count: int | None = None) -> None:
        """The first list is complete: `count` objects (default: what the stream now holds). Call it after `replace`.

        A sync that says the same is left as it stands, whatever its epoch: a restart with no change publishes nothing.
        """
        objects = self._count()
        if count is not None and count != objects:
            log.warning("bus.sync_count", expected=count, held=objects)
        wanted = Sync(epoch=epoch, kinds=tuple(sorted(kinds)), count=objects)
        found = self._found
        self._sync = found if found is not None and (found.kinds, found.count) == (wanted.kinds, wanted.count) else wanted
        await super()._apply({SYNC: (msgspec.json.encode(self._sync), {})})

    async def replace(
        self, values: Mapping[str, bytes], headers: Mapping[str, str] | None = None, each: Mapping[str, Mapping[str, str]] | None = None
    ) -> int:
        return await super().replace(values, headers, each) + await self._recount()

    async def _apply(self, changes: Mapping[str, tuple[bytes | None, Mapping[str, str]]]) -> int:
        return await super()._apply(changes) + await self._recount()

    async def _recount(self) -> int:
        count = self._count()
        if self._sync is None or self._sync.count == count:
            return 0
        self._sync = Sync(epoch=self._epoch, kinds=self._sync.kinds, count=count)
        return await super()._apply({SYNC: (msgspec.json.encode(self._sync), {})})

    def _count(self) -> int:
        return len(self._held) - (SYNC in self._held)

    def _loaded(self, found: Mapping[str, Entry]) -> None:
        entry = found.get(SYNC)
        self._found = parse_sync(entry) if entry is not None else None


class ResourceReader(TableReader):
    """`async for batch in ResourceReader(bus)`: the first batch comes when the table matches its sync, and is whole.

    After that changes are passed on as they come. On a new incarnation it waits for the sync again; what is gone is then told as deleted.
    """

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, [f"{PREFIX}.>"])
        self.sync: Sync | None = None
        """The newest sync seen, None before the first."""
        self._matched = False

    def _begin(self) -> None:
        super()._begin()
        self.sync, self._matched = None, False

    def _stage(self, subject: str, entry: Entry) -> None:
        if subject == SYNC:
            self.sync = parse_sync(entry)
        elif subject.count(".") == _DOTS:  # anything else is no object's, and nobody's trouble
            super()._stage(subject, entry)

    def _complete(self) -> bool:
        self._matched = self._matched or (self.sync is not None and self.sync.count == len(self._present))
        return self._matched

    def _whole(self) -> bool:
        return self._matched


def parse_sync(entry: Entry) -> Sync | None:
    """None for a deleted or unreadable one."""
    try:
        return msgspec.json.decode(entry.value, type=Sync)
    except msgspec.DecodeError:
        return None
