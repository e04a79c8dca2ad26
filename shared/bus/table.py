"""Last-value tables over subjects: a writer that publishes only differences and refills a wiped NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from nats.aio.msg import Msg

from shared.bus import wire
from shared.bus.backoff import Backoff
from shared.bus.connection import Bus, Session
from shared.bus.ear import Ear
from shared.bus.errors import BusClosed, NoLongerWriter, Unavailable
from shared.bus.keeping import Keeping
from shared.bus.publisher import Ack
from shared.bus.table_reader import TableBatch, TableReader, read_all
from shared.bus.waiting import first_of
from shared.bus.wire import Entry, Outgoing, stream_of
from shared.core.digest import digest

__all__ = ["TableBatch", "TableReader", "TableWriter", "read_all"]

log = structlog.get_logger("bus")

_FOREIGN = "?"  # the digest of what somebody else wrote: equal to nothing


class TableWriter(Keeping):
    """Keeps the subjects under `prefix` as it was told, whatever happens to NATS.

    `exclusive`: nobody else may write under the prefix; an older epoch's message is overwritten, a newer epoch's ends this writer
    (NoLongerWriter). `ttl`: seconds after which the server forgets values that are not refreshed; this writer refreshes them.
    """

    _kept: frozenset[str] = frozenset()
    """Subjects that `replace` leaves alone."""

    def __init__(self, bus: Bus, prefix: str, epoch: int = 0, *, exclusive: bool = False, ttl: int | None = None) -> None:
        super().__init__()
        self._bus = bus
        self._stream = stream_of(prefix)
        self._filter = f"{prefix}.>"
        self._epoch = epoch
        self._exclusive = exclusive
        self._ttl = ttl
        self._session = 0
        self._held: dict[str, str] = {}
        self._desired: dict[str, bytes | None] = {}
        self._headers: dict[str, Mapping[str, str]] = {}
        self._dirty: set[str] = set()
        self._whole = False  # until `replace`, subjects never put are left alone: unknown is not absent
        self._foreign = asyncio.Event()
        self._name = f"table {self._filter}"
        self._ear = Ear(bus, self._filter, self._overheard)
        self.superseded = asyncio.Event()
        """Set when a newer epoch writes here; `put` raises NoLongerWriter from then on."""

    def held(self) -> frozenset[str]:
        """Subjects that the stream holds a value for, as far as this writer knows."""
        return frozenset(self._held)

    async def put(self, changes: Mapping[str, bytes | None], headers: Mapping[str, str] | None = None) -> int:
        """Stores values (None deletes) and returns when NATS has them: the number of messages that took. Waits through outages.

        A value too large for a message is left as it was, and logged.
        """
        return await self._apply({k: (v, headers or {}) for k, v in changes.items()})

    async def put_each(self, changes: Mapping[str, tuple[bytes | None, Mapping[str, str]]]) -> int:
        """`put` with headers for each value."""
        return await self._apply(changes)

    async def replace(
        self, values: Mapping[str, bytes], headers: Mapping[str, str] | None = None, each: Mapping[str, Mapping[str, str]] | None = None
    ) -> int:
        """Makes `values` the whole content: what else the stream holds under the prefix is deleted. `each`: headers by subject."""
        common, own = headers or {}, each or {}
        async with self._lock:
            await self._flush()
            self._whole = True
            gone = (self._held.keys() | self._desired.keys()) - values.keys() - self._kept
            self._note({k: (v, own.get(k, common)) for k, v in values.items()} | dict.fromkeys(sorted(gone), (None, common)))
            return await self._flush()

    async def _apply(self, changes: Mapping[str, tuple[bytes | None, Mapping[str, str]]]) -> int:
        async with self._lock:
            self._note(changes)
            return await self._flush()

    def _note(self, changes: Mapping[str, tuple[bytes | None, Mapping[str, str]]]) -> None:
        fitting = self._bus.fitting({k: v for k, (v, _) in changes.items()})
        for subject, (value, headers) in changes.items():
            if subject not in fitting:
                continue
            self._desired[subject] = value
            self._headers[subject] = headers
            self._dirty.add(subject)

    async def _flush(self) -> int:
        """Publishes until the stream holds what is desired of the dirty subjects; the number of messages."""
        backoff = Backoff()
        sent = 0
        while True:
            if self.superseded.is_set():
                raise NoLongerWriter(f"a newer writer than epoch {self._epoch} writes {self._filter}")
            try:
                session = await self._bus.session()
                if session.number != self._session:
                    await self._load(session)
                sent += await self._send_dirty()
            except Unavailable as e:
                log.warning("bus.retry", table=self._filter, error=str(e))
                await asyncio.sleep(backoff.next())
                continue
            return sent

    async def _load(self, session: Session) -> None:
        if self._exclusive:
            await self._ear.open(session)
        found = await read_all(self._bus, self._stream.name, [self._filter])
        self._held = {s: digest(e.value) for s, e in found.items() if not e.deleted}
        self._loaded(found)
        if self._exclusive and any(e.epoch > self._epoch for e in found.values()):
            self.superseded.set()
            raise NoLongerWriter(f"a newer writer than epoch {self._epoch} writes {self._filter}")
        self._dirty |= self._desired.keys()
        self._session = session.number

    def _loaded(self, found: Mapping[str, Entry]) -> None:
        """For heirs: what the stream holds, at each new session."""

    async def _send_dirty(self, force: bool = False) -> int:
        todo = [s for s in sorted(self._dirty) if force or self._differs(s)]
        results = await self._bus.publish([self._outgoing(s) for s in todo])
        failed: Exception | None = None
        for subject, result in zip(todo, results, strict=True):
            if not isinstance(result, Ack):
                failed = result
                continue
            value = self._desired[subject]
            if value is None:
                self._held.pop(subject, None)
                del self._desired[subject]
                self._headers.pop(subject, None)  # what somebody else made and we delete has none
            else:
                self._held[subject] = digest(value)
        if failed is not None:
            raise failed
        for subject in self._dirty:
            if self._desired.get(subject, b"") is None:  # deleted, and it was not there
                del self._desired[subject]
                self._headers.pop(subject, None)  # what somebody else made and we delete has none
        self._dirty.clear()
        return len(todo)

    def _differs(self, subject: str) -> bool:
        value = self._desired.get(subject)
        return self._held.get(subject) != (digest(value) if value is not None else None)

    def _outgoing(self, subject: str) -> Outgoing:
        value = self._desired.get(subject)
        headers = dict(self._headers.get(subject, {}))
        if self._epoch:
            headers[wire.EPOCH] = str(self._epoch)
        if value is not None:
            return Outgoing(subject, value, headers | ({wire.TTL: f"{self._ttl}s"} if self._ttl else {}))
        if self._stream.per_subject > 1:
            headers[wire.ROLLUP] = "sub"  # else the expiring tombstone would uncover an older value
        return wire.tombstone(subject, headers)

    async def _overheard(self, msg: Msg) -> None:
        """Somebody else wrote under our prefix."""
        epoch = Entry(msg.data, msg.headers or {}, 0, 0).epoch
        if epoch > self._epoch:
            self.superseded.set()
        self._held[msg.subject] = _FOREIGN
        if self._whole:
            self._desired.setdefault(msg.subject, None)
        if msg.subject in self._desired:
            self._dirty.add(msg.subject)
            self._foreign.set()

    async def _keep(self) -> None:
        """Repairs without being asked: after a reconnect, after somebody else's message, and before values expire."""
        while not self.superseded.is_set():
            await first_of(self._foreign.wait(), self._bus.session(after=self._session), timeout=self._ttl / 3 if self._ttl else None)
            expiring = not self._foreign.is_set() and self._ttl is not None
            self._foreign.clear()
            async with self._lock:
                try:
                    await self._flush()
                    if expiring:
                        self._dirty |= self._desired.keys()
                        await self._send_dirty(force=True)
                except Unavailable:
                    continue
                except (NoLongerWriter, BusClosed):
                    return
