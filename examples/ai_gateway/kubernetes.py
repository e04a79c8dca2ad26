"""Objects from the Kubernetes API, by list and watch; what is made of them is applied there, owned by its AIRoute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import structlog

from examples.ai_gateway.compiling import OWNED, At, Compiled, Raw
from examples.ai_gateway.objects import KINDS
from shared.core.kinds import KindInfo
from shared.core.refs import ObjectRef
from shared.kube.client import NOT_FOUND, Kube, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource, find
from shared.kube.watching import Batch, NotServed, Watcher

log = structlog.get_logger("ai-gateway")
MANAGER = "ai-gateway"
MADE = {"HTTPRoute": "gateway.networking.k8s.io"}
_SETTLED = 2.0
"""Seconds in which replicas come to know the same."""
_AGAIN = 10.0
"""Seconds after which a kind that is not installed is looked for again."""


class KubernetesSource:
    """Secrets of all namespaces are read; of those only what AIBackends name is handed on (`controller.secrets`)."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._objects: dict[At, Raw] = {}
        self._listed: set[str] = set()
        self._wake = asyncio.Event()
        self._putting = asyncio.Lock()
        self._last: Compiled | None = None
        self._applied: dict[ObjectRef, Raw] = {}
        """What was made, as it was put; {} where a former life put it."""
        self._told: dict[At, tuple[str, Raw]] = {}

    async def states(self) -> AsyncIterator[Mapping[At, Raw]]:
        async with asyncio.TaskGroup() as tasks:
            for kind, group in KINDS.items():
                tasks.create_task(self._follow(kind, group))
            for kind, group in MADE.items():
                tasks.create_task(self._mend(kind, group))
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._listed == KINDS.keys():
                    yield dict(self._objects)

    async def _follow(self, kind: str, group: str) -> None:
        known: dict[ObjectRef, str] = {}
        while True:
            try:
                resource = await find(self._kube, KindInfo(group, kind))
            except (Refused, Unreachable) as e:
                log.warning("API server cannot be asked", kind=kind, error=str(e))
                await retrying_pause(3)
                continue
            if resource is None:
                # ListenerSets may not be installed: then there are none
                self._tell(kind)
                await asyncio.sleep(_AGAIN)
                continue
            try:
                async with aclosing(Watcher(self._kube, resource, known=known).batches()) as batches:
                    async for batch in batches:
                        for change in batch.changes:
                            at = (kind, change.ref.namespace, change.ref.name)
                            if change.object is None:
                                self._objects.pop(at, None)
                            else:
                                self._objects[at] = _without_noise(change.object)
                        if batch.listed or batch.changes:
                            self._tell(kind)
            except NotServed:
                continue

    def _tell(self, kind: str) -> None:
        self._listed.add(kind)
        self._wake.set()

    async def put(self, made: Compiled) -> None:
        """Only what is different from what was put before goes out."""
        async with self._putting:
            self._last = made
            await self._put(made)

    async def _put(self, made: Compiled) -> None:
        wanted = {**MADE, **{kind: KINDS[kind] for kind in ("AIRoute", "AIBackend")}}
        resources = {kind: await self._resource(kind, group) for kind, group in wanted.items()}
        now = {self._ref(resources[body["kind"]], body): body for body in made.objects}
        for ref, body in now.items():
            if self._applied.get(ref) != body:
                await self._kube.apply(resources[ref.kind].path(ref), body)
                self._applied[ref] = body
        for ref in self._applied.keys() - now.keys():
            await self._delete(resources[ref.kind].path(ref))
            del self._applied[ref]
        told = {at: (self._uid(at), status) for at, status in made.statuses.items()}
        for at, (uid, status) in told.items():
            if self._told.get(at) != (uid, status):
                await self._tell_status(resources[at[0]], at, status)
        self._told = told

    async def _tell_status(self, resource: Resource, at: At, status: Raw) -> None:
        kind, namespace, name = at
        head = {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
        try:
            path = resource.path(ObjectRef(resource.group, kind, namespace, name), sub="status")
            await self._kube.apply(path, {**head, "status": status})
        except Refused as e:
            if e.code != NOT_FOUND:
                raise

    def _uid(self, at: At) -> str:
        """One that was deleted and made again has been told nothing."""
        return str(self._objects.get(at, {}).get("metadata", {}).get("uid", ""))

    async def _mend(self, kind: str, group: str) -> None:
        """What was made here in a former life goes when nothing asks for it; what somebody deletes is made again."""
        while True:
            try:
                resource = await find(self._kube, KindInfo(group, kind))
                if resource is None:
                    raise NotServed(kind)
                async with aclosing(Watcher(self._kube, resource, query={"labelSelector": OWNED}).batches()) as batches:
                    async for batch in batches:
                        await self._compare(batch)
            except (Refused, Unreachable, NotServed) as e:
                log.warning("what was made cannot be followed", kind=kind, error=str(e))
                await asyncio.sleep(_AGAIN)

    async def _compare(self, batch: Batch) -> None:
        """Another replica may be ahead: what it makes is left to it, and what is gone is missed only after a while."""
        gone = [c.ref for c in batch.changes if c.object is None and c.ref in self._applied]
        if batch.listed:
            for change in batch.changes:
                self._applied.setdefault(change.ref, {})
        if gone or batch.listed:
            await asyncio.sleep(_SETTLED if gone else 0)
            async with self._putting:
                for ref in gone:
                    self._applied.pop(ref, None)
                if self._last is not None:
                    await self._put(self._last)

    @staticmethod
    def _ref(resource: Resource, body: Raw) -> ObjectRef:
        return ObjectRef(resource.group, resource.kind, body["metadata"]["namespace"], body["metadata"]["name"])

    async def _resource(self, kind: str, group: str) -> Resource:
        found = await find(self._kube, KindInfo(group, kind))
        if found is None:
            raise Unreachable(f"{kind} of {group} is not installed")
        return found

    async def _delete(self, path: str) -> None:
        try:
            await self._kube.request("DELETE", path)
        except Refused as e:
            if e.code != NOT_FOUND:
                raise


def _without_noise(raw: Raw) -> Raw:
    """Statuses, our own among them, and versions are no reason to look again."""
    metadata = {k: v for k, v in raw["metadata"].items() if k not in ("managedFields", "resourceVersion", "annotations")}
    return {k: v for k, v in raw.items() if k != "status"} | {"metadata": {"namespace": "", **metadata}}
