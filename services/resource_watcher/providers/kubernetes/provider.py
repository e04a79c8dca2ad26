"""The Kubernetes provider: watches every kind that the cluster has, and writes statuses to where users look for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from services.resource_watcher.provider import Problem, Sink, Update
from services.resource_watcher.providers.kubernetes.releases import Releases
from services.resource_watcher.providers.kubernetes.scope import Scope
from services.resource_watcher.providers.kubernetes.writing import StatusWriter
from shared.core.kinds import KindInfo
from shared.core.refs import ObjectRef
from shared.kube.client import NOT_FOUND, Kube, NoCluster, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource, find
from shared.kube.watching import Batch, Change, NotServed, Watcher
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart
from shared.runtime.waiting import all_or_stopped

log = structlog.get_logger("kubernetes-provider")

MANAGER = "headgate"
LOOK_AGAIN = 5.0
"""Seconds until a kind that is not installed is looked for again."""
GATHER, GATHER_MOST, QUIET = 0.002, 0.1, 0.05
"""Seconds in which changes that come together are told together: GATHER for one that comes alone, twice as long for each further time in
a stream of changes, GATHER_MOST at most, until there are none for QUIET seconds. What follows costs by the version, not only by the change:
each is a RouteConfiguration that every Envoy takes in whole."""


class KubernetesProvider:
    def __init__(self, settings: Settings) -> None:
        self._rate = settings.config.provider.request_rate
        self._kinds = settings.config.kinds
        self._scope = Scope(settings.config.provider.cluster.watch, self._kinds)
        self._kube: Kube | None = None
        self._resources: dict[tuple[str, str], Resource] = {}
        self._told = {at: asyncio.Event() for at in self._kinds}
        self._absent: set[tuple[str, str]] = set()
        self._pending: dict[ObjectRef, dict[str, Any] | None] = {}
        self._seen: dict[ObjectRef, dict[str, Any]] = {}
        self._statuses = StatusWriter(settings.config.gateway.controller_name)
        self._releases = Releases(settings.config.gateway.controller_name)
        self._wanted: set[ObjectRef] = set()
        self._wake = asyncio.Event()

    async def run(self, sink: Sink, stop: asyncio.Event) -> None:
        try:
            self._kube = await Kube.connect(MANAGER, qps=self._rate.qps, burst=self._rate.burst)
        except NoCluster as e:
            raise CannotStart(str(e)) from e
        try:
            await all_or_stopped(
                stop,
                *(self._follow(info) for info in self._kinds.values()),
                self._tell(sink),
                self._statuses.keep(self._kube),
                self._releases.keep(self._kube),
            )
        finally:
            await self._kube.close()

    def expect(self, refs: frozenset[ObjectRef]) -> None:
        self._wanted |= refs

    async def want(self, ref: ObjectRef, wanted: bool) -> dict[ObjectRef, dict[str, Any]]:
        (self._wanted.add if wanted else self._wanted.discard)(ref)
        if not wanted or not self._scope.takes(ref):
            return {}
        found = await self._read(ref)
        return {ref: found} if found is not None else {}

    # objects

    async def _follow(self, info: KindInfo) -> None:
        """Watches a kind for ever; waits for it while it is not installed."""
        at, known, looks = (info.group, info.kind), dict[ObjectRef, str](), 0
        while True:
            resource = await self._look(info)
            if resource is None:
                looks += 1
                if looks > 1 and known:
                    await self._take(Batch(tuple(Change(ref, None) for ref in known)), info)
                    known = {}
                self._absent.add(at)
                self._told[at].set()
                self._wake.set()
                await asyncio.sleep(LOOK_AGAIN)
                continue
            looks = 0
            self._resources[at] = resource
            self._absent.discard(at)
            watcher = Watcher(self._api, resource, metadata_only=info.wanted, known=known)
            try:
                async with aclosing(watcher.batches()) as batches:
                    async for batch in batches:
                        await self._take(batch, info)
                        if batch.listed:
                            self._told[at].set()
                        self._wake.set()
            except NotServed:
                log.info("kind_no_longer_served", group=info.group, kind=info.kind, version=resource.api_version)

    async def _look(self, info: KindInfo) -> Resource | None:
        attempt = 0
        while True:
            try:
                found = await find(self._api, info)
            except (Refused, Unreachable) as e:
                log.warning("cannot_look_for", kind=info.kind, error=str(e))
                await retrying_pause(attempt)
                attempt += 1
                continue
            if found is None and (info.group, info.kind) not in self._absent:
                log.info("kind_not_installed", group=info.group, kind=info.kind)
            return found

    async def _take(self, batch: Batch, info: KindInfo) -> None:
        for ref, found in batch.changes:
            if info.wanted:
                # a private object's contents are read when something asks for them, and again when they changed
                if found is None:
                    self._pending[ref] = None
                elif ref in self._wanted and (whole := await self._read(ref)) is not None:
                    self._pending[ref] = whole
                continue
            self._statuses.see(ref, self._resources[info.group, info.kind], found)
            self._releases.see(ref, self._resources[info.group, info.kind], found)
            if ref.kind == "Namespace":
                self._see_namespace(ref.name, found)
            if self._scope.selects and ref.namespace:
                self._remember(ref, found)
            if self._scope.takes(ref):
                self._pending[ref] = found

    def _remember(self, ref: ObjectRef, found: dict[str, Any] | None) -> None:
        """With a selector, every object may come in or go out without a change of its own."""
        if found is None:
            self._seen.pop(ref, None)
        else:
            self._seen[ref] = found

    def _see_namespace(self, name: str, found: Mapping[str, Any] | None) -> None:
        labels = (found.get("metadata") or {}).get("labels") or {} if found is not None else None
        if self._scope.see(name, labels):
            self._pending |= {r: o if self._scope.takes(r) else None for r, o in self._seen.items() if r.namespace == name}

    async def _tell(self, sink: Sink) -> None:
        told_complete, gather, last = False, GATHER, 0.0
        while True:
            await self._wake.wait()
            gather = min(2 * gather, GATHER_MOST) if time.monotonic() - last < QUIET else GATHER
            await asyncio.sleep(gather)
            self._wake.clear()
            complete = all(told.is_set() for told in self._told.values())
            changes, self._pending = self._pending, {}
            if changes or (complete and not told_complete):
                told_complete = told_complete or complete
                await sink(Update(changes, complete, self._problems()))
            last = time.monotonic()

    def _problems(self) -> tuple[Problem, ...]:
        return tuple(
            Problem(f"{group or 'core'}/{kind}", "is not installed in the cluster; it is looked for again")
            for group, kind in sorted(self._absent)
        )

    async def _read(self, ref: ObjectRef) -> dict[str, Any] | None:
        resource = self._resources.get((ref.group, ref.kind))
        attempt = 0
        while resource is not None:
            try:
                found: dict[str, Any] = msgspec.json.decode(await self._api.get(resource.path(ref)))
                return found
            except Refused as e:
                if e.code != NOT_FOUND:
                    log.warning("cannot_read", object=str(ref), error=str(e))
                return None
            except Unreachable as e:
                log.warning("cannot_read", object=str(ref), error=str(e))
                await retrying_pause(attempt)
                attempt += 1
        return None

    @property
    def _api(self) -> Kube:
        assert self._kube is not None, "the provider runs"
        return self._kube

    # statuses

    async def read_status(self, ref: ObjectRef) -> dict[str, Any] | None:
        if await self._has_status(ref):
            return self._statuses.ours(ref)
        return None

    async def write_status(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        if await self._has_status(ref):
            await self._statuses.write(self._api, ref, self._resources[ref.group, ref.kind], status)

    def hold_status(self, ref: ObjectRef, status: dict[str, Any]) -> None:
        self._statuses.hold(ref, status)

    async def _has_status(self, ref: ObjectRef) -> bool:
        """Waits until the cluster's objects of the kind are known: before that, each would look new."""
        told = self._told.get((ref.group, ref.kind))
        if told is None:
            return False
        await told.wait()
        resource = self._resources.get((ref.group, ref.kind))
        return resource is not None and resource.statuses
