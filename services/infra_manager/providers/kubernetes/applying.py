"""Makes single objects as their manifests say: server-side apply, only where something differs, and taking over what others made."""

from __future__ import annotations

import msgspec
import structlog

from services.infra_manager.providers.kubernetes.compare import (
    fingerprint,
    formerly_managed,
    keeping_selector,
    labels_of,
    stands,
    taken_over,
)
from services.infra_manager.providers.kubernetes.objects import Objects
from services.infra_manager.providers.kubernetes.render.kinds import GATEWAY, GATEWAY_CLASS, RESOURCES, SERVICE
from services.infra_manager.providers.kubernetes.render.plan import JSON, Manifest, Owner, Plan
from shared.core.refs import ObjectRef
from shared.kube.client import NOT_FOUND, Kube, Refused

log = structlog.get_logger("infrastructure")

FORBIDDEN = 403
MANAGER = "headgate"
SCALE_KEEPER = "headgate-scale"
JSON_PATCH = "application/json-patch+json"
_OWNERS = {"Gateway": GATEWAY, "GatewayClass": GATEWAY_CLASS, "Service": SERVICE}


class NotOurs(Exception):
    """An object of this name is there, and belongs to somebody else."""


class Applier:
    def __init__(self, kube: Kube, objects: Objects) -> None:
        self._kube = kube
        self._objects = objects
        self._confirmed: dict[ObjectRef, tuple[str, str]] = {}
        """(manifest's digest, fingerprint) of what the server answered to an apply: so, it is as it should be."""

    def stands(self, manifest: Manifest) -> bool:
        """Nothing is to be done."""
        live = self._objects.get(manifest.ref)
        if live is None:
            return False
        if stands(live, manifest.body()):
            return True
        return self._confirmed.get(manifest.ref) == (manifest.digest, fingerprint(live))

    async def owner_reference(self, owner: Owner | None) -> JSON | None:
        """None where the owner is not in this cluster. Raises Refused, Unreachable."""
        if owner is None or owner.kind not in _OWNERS:
            return None
        resource = _OWNERS[owner.kind]
        ref = ObjectRef(resource.group, resource.kind, owner.namespace, owner.name)
        try:
            found = msgspec.json.decode(await self._kube.get(resource.path(ref)))
        except Refused as e:
            if e.code == NOT_FOUND:
                return None
            if e.code == FORBIDDEN:
                # the fleet works; only nobody will clear it away with its owner
                log.warning("owner_unreadable", owner=str(ref), error=str(e))
                return None
            raise
        return {"apiVersion": resource.api_version, "kind": owner.kind, "name": owner.name, "uid": found["metadata"]["uid"]}

    async def put(self, plan: Plan, manifest: Manifest, owner: JSON | None) -> None:
        """Raises Refused, Unreachable, NotOurs, ValueError."""
        ref = manifest.ref
        path = RESOURCES[ref.kind].path(ref)
        if plan.guarded and self._objects.get(ref) is None:
            await self._refuse_others(plan, ref, path)
        if self._objects.formerly_managed(ref):
            await self._take_over(ref, path)
        body = keeping_selector(self._objects.get(ref), manifest.body())
        await self._leave_replicas(ref, path, body)
        if owner is not None:
            body["metadata"]["ownerReferences"] = [owner]
        answer = await self._kube.apply(path, body)
        log.info("applied", object=str(ref))
        self._objects.note(ref, answer)
        live = self._objects.get(ref)
        if live is not None:
            self._confirmed[ref] = (manifest.digest, fingerprint(live))

    async def delete(self, ref: ObjectRef) -> None:
        """Raises Refused, Unreachable."""
        live = self._objects.get(ref)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return
        options = {"preconditions": {"uid": live["metadata"]["uid"]}, "propagationPolicy": "Background"}
        try:
            await self._kube.request("DELETE", RESOURCES[ref.kind].path(ref), body=options)
        except Refused as e:
            if e.code != NOT_FOUND:
                raise
        log.info("deleted", object=str(ref))
        self._confirmed.pop(ref, None)

    async def _leave_replicas(self, ref: ObjectRef, path: str, body: JSON) -> None:
        """A number of pods that we set and now leave to an autoscaler would fall back to one: somebody else keeps it meanwhile."""
        replicas = ((self._objects.get(ref) or {}).get("spec") or {}).get("replicas") or 1
        if ref.kind != "Deployment" or "replicas" in body["spec"] or replicas == 1:
            return
        kept = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": {"name": ref.name, "namespace": ref.namespace}}
        await self._kube.apply(path, kept | {"spec": {"replicas": replicas}}, manager=SCALE_KEEPER)

    async def _refuse_others(self, plan: Plan, ref: ObjectRef, path: str) -> None:
        try:
            found = msgspec.json.decode(await self._kube.get(path))
        except Refused as e:
            if e.code == NOT_FOUND:
                return
            raise
        if any(labels_of(found).get(k) != v for k, v in plan.labels):
            raise NotOurs(f"{ref.kind} {ref.namespace}/{ref.name} already exists and is not owned by this Gateway")

    async def _take_over(self, ref: ObjectRef, path: str) -> None:
        live = msgspec.json.decode(await self._kube.get(path))
        if not formerly_managed(live):
            return
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": taken_over(live, MANAGER)},
        ]
        answer = msgspec.json.decode(await self._kube.request("PATCH", path, {"fieldManager": MANAGER}, patch, JSON_PATCH))
        log.info("taken_over", object=str(ref))
        self._objects.note(ref, answer)
