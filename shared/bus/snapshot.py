"""A Gateway's IR as versions: the writer that closes them. The reader stands in snapshot_reader.py."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
import structlog
from nats.aio.msg import Msg

from shared.bus import commit as commits
from shared.bus import direct, wire
from shared.bus.backoff import Backoff
from shared.bus.commit import Commit
from shared.bus.connection import Bus, Session
from shared.bus.ear import Ear
from shared.bus.errors import WRONG_LAST_SEQUENCE, ApiError, BusClosed, BusError, NoLongerWriter, Unavailable
from shared.bus.keeping import Keeping
from shared.bus.publisher import Ack
from shared.bus.snapshot_reader import SnapshotReader
from shared.bus.staging import Version
from shared.bus.table_reader import read_all
from shared.bus.waiting import first_of
from shared.bus.wire import IR, Entry, Outgoing
from shared.core.digest import Root, digest
from shared.core.refs import GatewayRef

__all__ = ["SnapshotReader", "SnapshotWriter", "Version"]

log = structlog.get_logger("bus")

_FOREIGN = "?"  # the digest of what somebody else wrote: equal to nothing
SETTLE = 0.3
"""Seconds after which a foreign commit has certainly been stored or refused."""
FORGET_AFTER = 24 * 3600.0
"""Seconds after which a deleted shard's history goes."""


class SnapshotWriter(Keeping):
    """One Gateway's only writer: `open()`, then `reconcile(whole state)` once, then `publish(changes)` for each change.

    All of them wait through NATS's absences and return the version that the stream then holds. NoLongerWriter ends it.
    """

    def __init__(self, bus: Bus, gateway: GatewayRef, epoch: int) -> None:
        super().__init__()
        self._bus = bus
        self.gateway = gateway
        self._epoch = epoch
        self._prefix = commits.shard_prefix(gateway)
        self._commit_subject = self._prefix + commits.KEY
        self._session = 0
        self._incarnation = ""
        self._held: dict[str, str] = {}
        self._commit: Commit | None = None
        self._commit_seq = 0
        self._desired: dict[str, bytes] | None = None
        self._removed = False
        self._root = Root()
        self._dirty: set[str] = set()
        self._changed: set[str] = set()
        self._causes: tuple[str, ...] = ()
        self._trace = ""
        self._foreign = asyncio.Event()
        self._name = f"snapshot {gateway}"
        self._ear = Ear(bus, self._prefix + ">", self._overheard)
        self.superseded = asyncio.Event()
        """Set when a newer epoch writes here; every call raises NoLongerWriter from then on."""

    @property
    def version(self) -> int:
        """The last version in the stream, 0 before the first."""
        return self._commit.version if self._commit is not None else 0

    async def reconcile(self, state: Mapping[str, bytes], causes: Iterable[str] = (), trace: str = "") -> int:
        """Makes `state` (key -> bytes) the whole: every difference is overwritten, then committed. No difference: nothing is published."""
        return await self._whole(dict(self._bus.fitting(state)), False, causes, trace)

    async def remove(self, causes: Iterable[str] = (), trace: str = "") -> int:
        """The Gateway is gone: no shards, and a commit that says so."""
        return await self._whole({}, True, causes, trace)

    async def publish(self, changes: Mapping[str, bytes | None], causes: Iterable[str] = (), trace: str = "") -> int:
        """Shards that changed (None = gone) as one version. RuntimeError before `reconcile`: the stream may hold half a version.

        A shard too large for a message is left as it was, and logged."""
        if self._desired is None:
            raise RuntimeError("reconcile the whole state first")
        async with self._lock:
            for key, value in self._bus.fitting(changes).items():
                self._want(key, value)
            self._removed = False
            self._why(causes, trace)
            return await self._flush()

    async def _whole(self, state: dict[str, bytes], removed: bool, causes: Iterable[str], trace: str) -> int:
        async with self._lock:
            for key in [k for k in self._desired or {} if k not in state]:
                self._want(key, None)
            self._desired = self._desired or {}
            for key, value in state.items():
                self._want(key, value)
            self._dirty |= self._held.keys()
            self._removed = removed
            self._why(causes, trace)
            return await self._flush()

    def _want(self, key: str, value: bytes | None) -> None:
        assert self._desired is not None or value is None
        if value is None:
            (self._desired or {}).pop(key, None)
            self._root.set(self._prefix + key, None)
        elif self._desired is not None and self._desired.get(key) != value:
            self._desired[key] = value
            self._root.set(self._prefix + key, digest(value))
        self._dirty.add(key)

    def _why(self, causes: Iterable[str], trace: str) -> None:
        self._causes = tuple(dict.fromkeys((*self._causes, *causes)))
        self._trace = trace or self._trace

    async def _flush(self) -> int:
        backoff = Backoff()
        while True:
            if self.superseded.is_set():
                raise self._no_longer()
            try:
                session = await self._bus.session()
                if session.number != self._session:
                    await self._load(session)
                if self._desired is not None:
                    await self._send_shards(self._desired)
                    await self._close_version(self._desired)
            except Unavailable as e:
                log.warning("bus.retry", gateway=str(self.gateway), error=str(e))
                await asyncio.sleep(backoff.next())
                continue
            return self.version

    async def _load(self, session: Session) -> None:
        """What the stream holds now. From here on, whatever others write under our prefix is overheard."""
        await self._ear.open(session)
        found = await read_all(self._bus, IR.name, [self._prefix + ">"])
        closing = found.pop(self._commit_subject, None)
        self._commit = commits.decode(closing.value) if closing is not None else None
        self._commit_seq = closing.seq if closing is not None else 0
        if any(e.epoch > self._epoch for e in found.values()) or (self._commit is not None and self._commit.epoch > self._epoch):
            self.superseded.set()
            raise self._no_longer()
        cut = len(self._prefix)
        self._held = {s[cut:]: digest(e.value) for s, e in found.items() if not e.deleted}
        if self._commit is not None:
            # consumers ignored these: even where they say what we want, it must be said again
            stale = [s[cut:] for s, e in found.items() if e.seq > self._commit_seq and e.epoch < self._commit.epoch]
            self._held.update(dict.fromkeys(stale, _FOREIGN))
        if self._desired is not None:
            self._dirty |= self._held.keys() | self._desired.keys()
        self._incarnation = session.incarnations[IR.name]
        self._session = session.number
        if closing is not None:
            for subject, entry in found.items():
                if entry.deleted and entry.seq < closing.seq and closing.time - entry.time > FORGET_AFTER:
                    await direct.purge(self._bus, IR.name, subject)

    async def _send_shards(self, desired: Mapping[str, bytes]) -> None:
        wanted = {k: digest(v) if (v := desired.get(k)) is not None else None for k in sorted(self._dirty)}
        todo = [k for k, d in wanted.items() if self._held.get(k) != d]
        failed: BusError | None = None
        for key, result in zip(todo, await self._bus.publish([self._shard(k, desired.get(k)) for k in todo]), strict=True):
            if not isinstance(result, Ack):
                failed = result
                continue
            self._changed.add(key)
            now = wanted[key]
            if now is None:
                self._held.pop(key, None)
            else:
                self._held[key] = now
        if failed is not None:
            raise failed
        self._dirty.clear()

    def _shard(self, key: str, value: bytes | None) -> Outgoing:
        headers = {wire.EPOCH: str(self._epoch)}
        if value is None:
            return wire.tombstone(self._prefix + key, headers, ttl=None)  # history stays readable; `_load` ends it
        return Outgoing(self._prefix + key, value, headers)

    async def _close_version(self, desired: Mapping[str, bytes]) -> None:
        root, last = self._root.hex(), self._commit
        if last is None and not desired:
            return  # nothing was ever here
        if last is not None and (last.root, last.removed) == (root, self._removed):
            self._closed()
            return
        commit = Commit(
            incarnation=self._incarnation,
            epoch=self._epoch,
            version=self.version + 1,
            root=root,
            shards=len(desired),
            causes=self._causes,
            changed=tuple(sorted(self._changed)[: commits.MOST_CHANGED]),
            changes=len(self._changed),
            removed=self._removed,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        headers = {wire.EPOCH: str(self._epoch), wire.EXPECTED_SEQUENCE: str(self._commit_seq)}
        if self._trace:
            headers[wire.TRACE] = self._trace
        (result,) = await self._bus.publish([Outgoing(self._commit_subject, msgspec.json.encode(commit), headers)])
        if isinstance(result, Ack):
            self._commit, self._commit_seq = commit, result.seq
            self._closed()
        elif isinstance(result, ApiError) and result.code == WRONG_LAST_SEQUENCE:
            self._session = 0  # somebody else closed a version: read whose it is; a newer epoch ends us, an older one is overwritten
            raise Unavailable(f"another commit stands at {self._commit_subject}")
        else:
            raise result

    def _closed(self) -> None:
        self._causes, self._trace = (), ""
        self._changed.clear()

    async def _overheard(self, msg: Msg) -> None:
        if Entry(msg.data, msg.headers or {}, 0, 0).epoch > self._epoch:
            self.superseded.set()
        key = msg.subject[len(self._prefix) :]
        if key == commits.KEY:
            await asyncio.sleep(SETTLE)
            self._session = 0
        else:
            self._held[key] = _FOREIGN
            self._dirty.add(key)
        self._foreign.set()

    async def _keep(self) -> None:
        """Repairs without being asked: after a reconnect, and after somebody else's message."""
        while not self.superseded.is_set():
            await first_of(self._foreign.wait(), self._bus.session(after=self._session))
            self._foreign.clear()
            try:
                async with self._lock:
                    await self._flush()
            except (NoLongerWriter, BusClosed):
                return

    def _no_longer(self) -> NoLongerWriter:
        return NoLongerWriter(f"a newer writer than epoch {self._epoch} writes {self._prefix}>")
