"""What the cluster holds of all fleets, kept up to date by watches: looking costs no request, and a change wakes who it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing

import structlog

from services.infra_manager.providers.kubernetes.compare import formerly_managed, labels_of
from services.infra_manager.providers.kubernetes.places import Places
from services.infra_manager.providers.kubernetes.render.kinds import MADE
from services.infra_manager.providers.kubernetes.render.naming import MANAGED, gateway_of
from services.infra_manager.providers.kubernetes.render.plan import JSON
from shared.bus.waiting import end
from shared.core.refs import GatewayRef, ObjectRef
from shared.kube.client import Kube
from shared.kube.discovery import Resource
from shared.kube.watching import Watcher

log = structlog.get_logger("infrastructure")

RATE_LIMIT = GatewayRef("", "")
"""Stands for the rate limit service, which belongs to no Gateway."""
_OURS = {"labelSelector": f"{MANAGED[0]}={MANAGED[1]},app.kubernetes.io/component in (proxy,ratelimit)"}
AGAIN = 1.0

Changed = Callable[[GatewayRef], None]


class Objects:
    """`home` is the control plane's namespace; `everywhere`: fleets are in others, too. `changed` is told whose object changed."""

    def __init__(self, kube: Kube, home: str, changed: Changed, *, everywhere: bool = False) -> None:
        self._kube = kube
        self._home = home
        self._namespace = "" if everywhere else home
        self._changed = changed
        self._held: dict[ObjectRef, JSON] = {}
        self._fleets: dict[GatewayRef, set[ObjectRef]] = {}
        self._former: set[ObjectRef] = set()
        self._places = Places(self._look_all)
        self._listed: dict[str, asyncio.Event] = {r.kind: asyncio.Event() for r in MADE}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Returns when everything that there is has been seen."""
        self._tasks += [asyncio.create_task(self._follow(r), name=f"watch {r.kind}") for r in MADE]
        for listed in self._listed.values():
            await listed.wait()

    async def close(self) -> None:
        await end(*self._tasks)

    def get(self, ref: ObjectRef) -> JSON | None:
        return self._held.get(ref)

    def of(self, fleet: GatewayRef) -> list[ObjectRef]:
        return sorted(self._fleets.get(fleet, ()))

    def live(self, fleet: GatewayRef) -> Iterator[JSON]:
        return (self._held[ref] for ref in self.of(fleet))

    def fleets(self) -> frozenset[GatewayRef]:
        return frozenset(f for f, refs in self._fleets.items() if refs and f != RATE_LIMIT)

    def formerly_managed(self, ref: ObjectRef) -> bool:
        """Somebody whose place we take has applied it."""
        return ref in self._former

    def note(self, ref: ObjectRef, found: JSON | None) -> None:
        """What a watch tells, or an answer to a write; what is older than what is known does not count."""
        before = self._held.get(ref)
        if found is not None and before is not None and _version(found) < _version(before):
            return
        self._forget(ref)
        if found is not None:
            if formerly_managed(found):
                self._former.add(ref)
            metadata = {k: v for k, v in found["metadata"].items() if k != "managedFields"}
            self._held[ref] = found | {"metadata": metadata}
            if (fleet := self.fleet_of(found)) is not None:
                self._fleets.setdefault(fleet, set()).add(ref)
        for each in {self.fleet_of(o) for o in (before, found) if o is not None}:
            if each is not None:
                self._changed(each)

    def nodes(self, service: JSON) -> list[JSON]:
        """At whose addresses a Service of type NodePort is reached. The first call begins to watch them."""
        if not self._places.watched:
            self._tasks += [asyncio.create_task(self._follow(r), name=f"watch {r.kind}") for r in self._places.begin()]
        return self._places.of(service)

    def fleet_of(self, live: JSON) -> GatewayRef | None:
        labels, namespace = labels_of(live), live["metadata"].get("namespace")
        if labels.get("app.kubernetes.io/component") == "ratelimit":
            return RATE_LIMIT if namespace == self._home else None
        return gateway_of(labels)

    def _look_all(self) -> None:
        for fleet in self.fleets():
            self._changed(fleet)

    def _forget(self, ref: ObjectRef) -> None:
        before = self._held.pop(ref, None)
        self._former.discard(ref)
        if before is not None and (fleet := self.fleet_of(before)) is not None:
            self._fleets[fleet].discard(ref)

    async def _follow(self, resource: Resource) -> None:
        while True:
            try:
                await self._watch(resource)
            except Exception:
                # without this watch nothing would be repaired any more
                log.exception("watch_failed", kind=resource.kind)
            await asyncio.sleep(AGAIN)

    async def _watch(self, resource: Resource) -> None:
        query = _OURS if resource.namespaced else None
        note = self.note if resource.kind in self._listed else self._places.note
        watcher = Watcher(self._kube, resource, namespace=self._namespace if resource.namespaced else "", query=query)
        async with aclosing(watcher.batches()) as batches:
            async for batch in batches:
                for ref, found in batch.changes:
                    note(ref, found)
                if batch.listed and resource.kind in self._listed:
                    self._listed[resource.kind].set()


def _version(found: JSON) -> int:
    text = found["metadata"].get("resourceVersion", "")
    return int(text) if text.isdigit() else 0
