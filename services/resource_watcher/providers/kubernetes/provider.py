"""The Kubernetes provider: watches every kind that the cluster has, and writes statuses to where users look for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import msgspec
import structlog

from services.resource_watcher.provider import Problem, Sink, Update
from services.resource_watcher.providers.kubernetes import statuses
from services.resource_watcher.providers.kubernetes.scope import Scope
from shared.core.kinds import KindInfo
from shared.core.refs import ObjectRef
from shared.kube.client import CONFLICT, NOT_FOUND, Kube, NoCluster, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource, find
from shared.kube.watching import Batch, Watcher
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart

log = structlog.get_logger("kubernetes-provider")

MANAGER = "headgate"
LOOK_AGAIN = 5.0
"""Seconds until a kind that is not installed is looked for again."""
GATHER = 0.002
"""Seconds in which changes that come together are told together."""
TRIES = 5


class KubernetesProvider:
    def __init__(self, settings: Settings) -> None:
        kubernetes = settings.config.provider.kubernetes
        custom = settings.config.provider.custom
        watch = kubernetes.watch if kubernetes is not None else None
        if custom is not None and custom.resource.kubernetes is not None:
            watch = custom.resource.kubernetes.watch
        self._controller = settings.config.gateway.controller_name
        self._kinds = settings.config.kinds
        self._scope = Scope(watch, self._kinds)
        self._kube: Kube | None = None
        self._connected = asyncio.Event()
        self._resources: dict[tuple[str, str], Resource] = {}
        self._listed: set[tuple[str, str]] = set()
        self._absent: set[tuple[str, str]] = set()
        self._pending: dict[ObjectRef, dict[str, Any] | None] = {}
        self._seen: dict[ObjectRef, dict[str, Any]] = {}
        self._statuses: dict[ObjectRef, tuple[str, dict[str, Any]]] = {}
        self._wanted: set[ObjectRef] = set()
        self._wake = asyncio.Event()

    async def run(self, sink: Sink, stop: asyncio.Event) -> None:
        try:
            self._kube = await Kube.connect(MANAGER)
        except NoCluster as e:
            raise CannotStart(str(e)) from e
        self._connected.set()
        tasks = [asyncio.create_task(self._follow(info), name=info.kind) for info in self._kinds.values()]
        tasks.append(asyncio.create_task(self._tell(sink), name="telling"))
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait((*tasks, stopping), return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await self._kube.close()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

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
        at = (info.group, info.kind)
        resource = await self._found(info)
        watcher = Watcher(self._api, resource, metadata_only=info.wanted)
        async with aclosing(watcher.batches()) as batches:
            async for batch in batches:
                await self._take(batch, info)
                if batch.listed:
                    self._listed.add(at)
                self._wake.set()

    async def _found(self, info: KindInfo) -> Resource:
        at, attempt = (info.group, info.kind), 0
        while True:
            try:
                resource = await find(self._api, info)
            except (Refused, Unreachable) as e:
                log.warning("cannot_look_for", kind=info.kind, error=str(e))
                await retrying_pause(attempt)
                attempt += 1
                continue
            if resource is not None:
                self._resources[at] = resource
                self._absent.discard(at)
                return resource
            if at not in self._absent:
                log.info("kind_not_installed", group=info.group, kind=info.kind)
                self._absent.add(at)
                self._listed.add(at)
                self._wake.set()
            await asyncio.sleep(LOOK_AGAIN)

    async def _take(self, batch: Batch, info: KindInfo) -> None:
        for ref, found in batch.changes:
            if info.wanted:
                # a private object's contents are read when something asks for them, and again when they changed
                if found is None:
                    self._pending[ref] = None
                elif ref in self._wanted and (whole := await self._read(ref)) is not None:
                    self._pending[ref] = whole
                continue
            self._note_status(ref, found)
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
        told_complete = False
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER)
            self._wake.clear()
            complete = self._listed >= self._kinds.keys()
            changes, self._pending = self._pending, {}
            if changes or (complete and not told_complete):
                told_complete = told_complete or complete
                await sink(Update(changes, complete, self._problems()))

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

    def _note_status(self, ref: ObjectRef, found: Mapping[str, Any] | None) -> None:
        """What the server holds of an object's status, from the watch: most writes need not ask."""
        if found is None:
            self._statuses.pop(ref, None)
        elif self._resources[ref.group, ref.kind].statuses:
            self._statuses[ref] = ((found.get("metadata") or {}).get("resourceVersion", ""), found.get("status") or {})

    async def read_status(self, ref: ObjectRef) -> dict[str, Any] | None:
        await self._connected.wait()
        held = self._statuses.get(ref)
        return statuses.ours(held[1], self._controller) if held is not None else None

    async def write_status(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        """Server-side apply of the status alone, with others' entries as they are; tried again when somebody was faster."""
        await self._connected.wait()
        resource = self._resources.get((ref.group, ref.kind))
        if resource is None or not resource.statuses:
            return
        attempt = 0
        while (held := await self._held(ref, resource, fresh=attempt > 0)) is not None:
            version, now = held
            wanted = statuses.together(status, now, self._controller)
            if wanted == now:
                return
            metadata = {"name": ref.name, "resourceVersion": version} | ({"namespace": ref.namespace} if ref.namespace else {})
            body = {"apiVersion": resource.api_version, "kind": ref.kind, "metadata": metadata, "status": wanted}
            try:
                answer = await self._api.apply(resource.path(ref, sub="status"), body)
                self._note_status(ref, answer)
                return
            except Refused as e:
                if e.code == NOT_FOUND:
                    return
                if e.code != CONFLICT and attempt >= TRIES:
                    log.error("status_refused", object=str(ref), error=str(e))
                    return
            except Unreachable as e:
                log.warning("status_not_written", object=str(ref), error=str(e))
            await retrying_pause(attempt)
            attempt += 1

    async def _held(self, ref: ObjectRef, resource: Resource, *, fresh: bool) -> tuple[str, dict[str, Any]] | None:
        """The object's resourceVersion and status; None where it is not there."""
        if not fresh and (known := self._statuses.get(ref)) is not None:
            return known
        with contextlib.suppress(Unreachable, Refused):
            found = msgspec.json.decode(await self._api.get(resource.path(ref)))
            self._note_status(ref, found)
            return self._statuses.get(ref)
        return self._statuses.get(ref)
