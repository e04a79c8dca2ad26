"""A translation's outputs onto the bus: IR shards as versions, infra IR, statuses, wants. Nothing equal is ever sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from shared.bus import history
from shared.bus.connection import Bus
from shared.bus.snapshot import SnapshotWriter
from shared.bus.table import TableWriter
from shared.core import names
from shared.core.facts import WANTS, Question, Wanted
from shared.core.refs import GatewayRef, ObjectRef
from shared.ir.base import encode
from shared.ir.status import StatusPart

log = structlog.get_logger("translator")

STATUS_TOKENS = 6
_WANTED = b"{}"


def status_subject(ref: ObjectRef, gateway: str) -> str:
    """`status.<group>.<kind>.<ns>.<name>.<gateway>`."""
    return f"{ref.subject('status')}.{names.escape(gateway)}"


def _want(each: Wanted) -> tuple[str, bytes]:
    return (each.subject(WANTS), each.body) if isinstance(each, Question) else (each.subject("wants"), _WANTED)


class Publishing:
    """One term of a partition's writer. `first` brings the stream to the first whole translation; then come differences."""

    def __init__(self, bus: Bus, epoch: int) -> None:
        self._bus = bus
        self._epoch = epoch
        self._snapshots: dict[GatewayRef, SnapshotWriter] = {}
        self._reconciled: set[GatewayRef] = set()
        self._states: dict[GatewayRef, dict[str, bytes]] = {}
        self._infra = TableWriter(bus, "ir.infra", epoch, exclusive=True)
        self._statuses = TableWriter(bus, "status", epoch)
        self._wants = TableWriter(bus, "wants", epoch, exclusive=True)
        self._wanted: frozenset[Wanted] | None = None

    async def open(self) -> None:
        for writer in (self._infra, self._statuses, self._wants):
            await writer.open()

    async def close(self) -> None:
        writers: list[TableWriter | SnapshotWriter] = [self._infra, self._statuses, self._wants, *self._snapshots.values()]
        for writer in writers:
            await writer.close()

    @property
    def versions(self) -> dict[str, int]:
        return {str(g): w.version for g, w in self._snapshots.items()}

    async def wants(self, refs: frozenset[Wanted]) -> None:
        """All that is wanted now; said where it differs from the last time."""
        if self._wanted is None:
            await self._wants.replace(dict(map(_want, refs)))
        elif refs != self._wanted:
            came, went = refs - self._wanted, self._wanted - refs
            await self._wants.put(dict(map(_want, came)) | {_want(each)[0]: None for each in went})
        self._wanted = refs

    async def first(
        self,
        gateways: Iterable[GatewayRef],
        infra: Iterable[GatewayRef],
        statuses: Iterable[tuple[ObjectRef, str]],
        pending: Iterable[GatewayRef],
    ) -> None:
        """Removes what an earlier writer left and this one's first translation does not have. What is `pending` is not known to be gone."""
        known = {*gateways, *pending}
        for gateway in await history.gateways(self._bus):
            if gateway not in known:
                await (await self._snapshot(gateway)).remove(causes=("translator started",))
        kept_infra = {g.subject("ir.infra") for g in (*infra, *pending)}
        await self._infra.put(dict.fromkeys(self._infra.held() - kept_infra))
        kept = {status_subject(*at) for at in statuses}
        unsure = {names.escape(str(g)) for g in pending}
        stale = {s for s in self._statuses.held() if s.count(".") == STATUS_TOKENS - 1 and s not in kept and s.split(".")[5] not in unsure}
        await self._statuses.put(dict.fromkeys(stale))

    async def shards(
        self,
        changed: Mapping[GatewayRef, Mapping[str, bytes | None]],
        removed: Iterable[GatewayRef],
        pending: frozenset[GatewayRef],
        causes: Iterable[str],
        trace: str,
        *,
        patient: bool = True,
    ) -> None:
        """A version of each Gateway that changed.

        A Gateway of which nothing was said yet, and that waits for an answer, is held back while `patient`; after that what is known of
        it is published, and what the stream holds beyond that stays until the answer comes (law 2).
        """
        for gateway, changes in changed.items():
            state = self._states.setdefault(gateway, {})
            for key, value in changes.items():
                if value is None:
                    state.pop(key, None)
                else:
                    state[key] = value
        for gateway in removed:
            self._states[gateway] = {}
        changed = {**changed, **{gateway: {} for gateway in removed}}
        fresh = self._states.keys() - self._reconciled
        jobs = [self._publish(g, c, causes, trace) for g, c in changed.items() if g not in fresh]
        jobs += [self._reconcile(g, g in pending, causes, trace) for g in fresh if g not in pending or not patient]
        await asyncio.gather(*jobs)

    async def infra(self, changed: Mapping[GatewayRef, bytes | None], trace: str, *, whole: bool = False) -> None:
        """`whole`: there are no other fleets, and what a stranger writes under `ir.infra` from here on is taken away again."""
        headers = {"traceparent": trace} if trace else {}
        if whole:
            await self._infra.replace({g.subject("ir.infra"): value for g, value in changed.items() if value is not None}, headers)
            return
        await self._infra.put({g.subject("ir.infra"): value for g, value in changed.items()}, headers)

    async def statuses(self, changed: Mapping[tuple[ObjectRef, str], StatusPart | None], trace: str) -> None:
        headers = {"traceparent": trace} if trace else {}
        await self._statuses.put({status_subject(*at): encode(p) if p is not None else None for at, p in changed.items()}, headers)

    async def _reconcile(self, gateway: GatewayRef, unsure: bool, causes: Iterable[str], trace: str) -> None:
        state = self._states[gateway]
        writer = await self._snapshot(gateway)
        before = writer.version
        if unsure and before:
            state = await history.shards_at(self._bus, gateway, before) | state
        version = await (writer.reconcile(state, causes, trace) if state else writer.remove(causes, trace))
        if not unsure:
            self._done(gateway)
        log.info("reconciled", gateway=str(gateway), version=version, changed=version != before, shards=len(state))

    async def _publish(self, gateway: GatewayRef, changes: Mapping[str, bytes | None], causes: Iterable[str], trace: str) -> None:
        writer = await self._snapshot(gateway)
        version = await (writer.publish(changes, causes, trace) if self._states[gateway] else writer.remove(causes, trace))
        self._done(gateway)
        log.info("published", gateway=str(gateway), version=version, shards=len(changes))

    def _done(self, gateway: GatewayRef) -> None:
        """A removed Gateway is forgotten: should it come back, it begins with a reconciliation."""
        if self._states[gateway]:
            self._reconciled.add(gateway)
        else:
            del self._states[gateway]
            self._reconciled.discard(gateway)

    async def _snapshot(self, gateway: GatewayRef) -> SnapshotWriter:
        writer = self._snapshots.get(gateway)
        if writer is None:
            writer = self._snapshots[gateway] = SnapshotWriter(self._bus, gateway, self._epoch)
            await writer.open()
        return writer
