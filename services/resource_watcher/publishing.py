"""The provider's updates onto the bus, in the order that keeps law 2: nothing unknown ever reads as empty."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from services.resource_watcher.provider import Problem, Provider, Update
from services.resource_watcher.stages.objects import Seal
from services.resource_watcher.stages.outbox import Outbox
from shared.bus.connection import Bus
from shared.bus.resources import PREFIX, SYNC, ResourceWriter
from shared.bus.table import TableReader, TableWriter, read_all
from shared.core import names
from shared.core.kinds import KINDS, Kinds
from shared.core.refs import ObjectRef
from shared.runtime import garbage, trace
from shared.runtime.ops import Ops

log = structlog.get_logger("publishing")

SOURCE = "Headgate-Source"
PROBLEMS = "status.provider"


class Publishing:
    """One term of office: from taking the lease to losing it."""

    def __init__(self, bus: Bus, epoch: int, provider: str, seal: Seal, ops: Ops, kinds: Kinds = KINDS) -> None:
        self._kinds = tuple(f"{k.group}/{k.kind}" for k in kinds.values())
        self._bus = bus
        self._epoch = epoch
        self._provider = provider
        self._ops = ops
        self._writer = ResourceWriter(bus, epoch)
        self._problems = TableWriter(bus, PROBLEMS, epoch)
        self._wants = TableReader(bus, ["wants.*.*.*.*"])
        self._outbox = Outbox(seal)
        self._lock = asyncio.Lock()
        self._sources: dict[ObjectRef, str] = {}
        self._retained: dict[ObjectRef, str] = {}
        self._synced = False
        self.told: tuple[Problem, ...] = ()

    async def open(self) -> None:
        await self._writer.open()
        await self._problems.open()
        batch = await anext(self._wants)
        self._outbox.want({ObjectRef.from_subject(s): True for s, e in batch.changes.items() if e is not None})

    async def close(self) -> None:
        await self._wants.close()
        await self._problems.close()
        await self._writer.close()

    async def sink(self, update: Update) -> None:
        """Returns when the update is on the bus."""
        self._ops.backlog.enter()
        async with self._lock:
            self._sources |= update.sources
            puts = self._outbox.update(update.changes, update.sources)
            traceparent = trace.follow(None)
            if not self._synced:
                if update.complete:
                    await self._first(update, traceparent)
            else:
                for ref, source in list(self._retained.items()):
                    if not _within(source, update.unknown) and not self._outbox.refuses(ref):
                        del self._retained[ref]
                        puts |= self._outbox.release(ref)
                await self._put(puts, traceparent)
            await self._tell((*update.problems, *self._outbox.problems()))
        if self._synced:
            self._ops.backlog.leave()

    @property
    def wanted(self) -> frozenset[ObjectRef]:
        """Objects of private kinds that are referred to."""
        return self._outbox.wanted

    async def follow_wants(self, provider: Provider) -> None:
        """Answers what the translator asks for, until cancelled."""
        async for batch in self._wants:
            changes = {ObjectRef.from_subject(s): e is not None for s, e in batch.changes.items()}
            fetched = {ref: found for each, wanted in changes.items() for ref, found in (await provider.want(each, wanted)).items()}
            async with self._lock:
                self._outbox.update(fetched, {})
                puts = self._outbox.want(changes)
                if self._synced:
                    await self._put(puts, trace.new())

    def status(self) -> dict[str, object]:
        return {
            "provider": self._provider,
            "objects": len(self._outbox),
            "problems": [p._asdict() for p in self.told],
            "epoch": self._epoch,
        }

    async def _first(self, update: Update, traceparent: str) -> None:
        """The whole first list: what the stream holds beyond it is deleted, except what stands in sources that cannot be read now."""
        self._outbox.complete = True
        if update.unknown or self._outbox.problems():
            await self._retain(update.unknown)
        values = {ref.subject(PREFIX): value for ref, value in self._outbox.values().items()}
        await self._writer.replace(values, {trace.HEADER: traceparent}, {s: self._headers(s, traceparent) for s in values})
        await self._writer.sync(self._epoch, self._kinds)
        self._synced = True
        log.info("listed", objects=len(self._outbox), retained=len(self._retained))
        self._ops.ready()
        garbage.settle_in()

    async def _retain(self, unknown: frozenset[str]) -> None:
        for subject, entry in (await read_all(self._bus, "RESOURCES", [f"{PREFIX}.>"])).items():
            if subject == SYNC or entry.deleted:
                continue
            ref, source = ObjectRef.from_subject(subject), entry.headers.get(SOURCE, "")
            if ref not in self._outbox and (self._outbox.refuses(ref) or (source and _within(source, unknown))):
                self._retained[ref] = self._sources[ref] = source
                self._outbox.retain(ref, entry.value)

    async def _put(self, puts: Mapping[ObjectRef, bytes | None], traceparent: str) -> None:
        if not puts:
            return
        subjects = {ref.subject(PREFIX): value for ref, value in puts.items()}
        sent = await self._writer.put_each({s: (v, self._headers(s, traceparent)) for s, v in subjects.items()})
        for ref, value in puts.items():
            if value is None and ref not in self._outbox:
                self._sources.pop(ref, None)
        log.info("published", changed=len(puts), sent=sent, first=str(next(iter(puts))))

    def _headers(self, subject: str, traceparent: str) -> dict[str, str]:
        source = self._sources.get(ObjectRef.from_subject(subject), "")
        return {trace.HEADER: traceparent} | ({SOURCE: source} if source else {})

    async def _tell(self, problems: tuple[Problem, ...]) -> None:
        """Problems with files and objects, where `headgate status` finds them."""
        for problem in problems:
            if problem not in self.told:
                log.warning("bad_input", where=problem.where, object=problem.object, problem=problem.message)
        subject = f"{PROBLEMS}.{names.escape(self._provider)}"
        await self._problems.put({subject: msgspec.json.encode({"problems": [p._asdict() for p in problems]}) if problems else None})
        self.told = problems


def _within(source: str, unknown: frozenset[str]) -> bool:
    return source in unknown or any(source.startswith(u.rstrip("/") + "/") for u in unknown)
