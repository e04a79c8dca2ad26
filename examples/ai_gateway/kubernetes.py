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
from shared.kube.watching import NotServed, Watcher

log = structlog.get_logger("ai-gateway")
MANAGER = "ai-gateway"
MADE = {"HTTPRoute": "gateway.networking.k8s.io"}
_AGAIN = 10.0
"""Seconds after which a kind that is not installed is looked for again."""


class KubernetesSource:
    """Secrets are read in all namespaces: what is not named by an AIBackend is forgotten at once (`controller.secrets`)."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._objects: dict[At, Raw] = {}
        self._listed: set[str] = set()
        self._wake = asyncio.Event()
        self._made: dict[ObjectRef, Resource] = {}
        self._begun = False

    async def states(self) -> AsyncIterator[Mapping[At, Raw]]:
        async with asyncio.TaskGroup() as tasks:
            for kind, group in KINDS.items():
                tasks.create_task(self._follow(kind, group))
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
        wanted = {**MADE, **{kind: KINDS[kind] for kind in ("AIRoute", "AIBackend")}}
        resources = {kind: await self._resource(kind, group) for kind, group in wanted.items()}
        if not self._begun:
            await self._inherit(resources)
            self._begun = True
        now: dict[ObjectRef, Resource] = {}
        for body in made.objects:
            resource = resources[body["kind"]]
            ref = ObjectRef(resource.group, resource.kind, body["metadata"]["namespace"], body["metadata"]["name"])
            await self._kube.apply(resource.path(ref), body)
            now[ref] = resource
        for ref in self._made.keys() - now.keys():
            await self._delete(self._made[ref].path(ref))
        self._made = now
        for (kind, namespace, name), status in made.statuses.items():
            resource = resources[kind]
            ref = ObjectRef(resource.group, kind, namespace, name)
            head = {"apiVersion": resource.api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
            try:
                await self._kube.apply(resource.path(ref, sub="status"), {**head, "status": status})
            except Refused as e:
                if e.code != NOT_FOUND:
                    raise

    async def _resource(self, kind: str, group: str) -> Resource:
        found = await find(self._kube, KindInfo(group, kind))
        if found is None:
            raise Unreachable(f"{kind} of {group} is not installed")
        return found

    async def _inherit(self, resources: Mapping[str, Resource]) -> None:
        """What was made in a former life, so that it goes when nothing asks for it any more."""
        for kind in MADE:
            async with aclosing(Watcher(self._kube, resources[kind], query={"labelSelector": OWNED}).batches()) as batches:
                async for batch in batches:
                    self._made |= {change.ref: resources[kind] for change in batch.changes}
                    break

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
