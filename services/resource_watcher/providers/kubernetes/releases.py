"""GatewayClasses that Envoy Gateway kept from being deleted while Gateways used them: in its place they must be let go.

Headgate itself holds no object back; but a class that was accepted by Envoy Gateway carries its finalizer, and without this nobody could
ever delete it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from shared.core.refs import ObjectRef
from shared.kube.client import NOT_FOUND, Kube, Refused, Unreachable
from shared.kube.discovery import Resource

log = structlog.get_logger("kubernetes-releases")

FINALIZER = "gateway-exists-finalizer.gateway.networking.k8s.io"
LOOK_AGAIN = 5.0
"""Seconds until the Gateways of a class that is to go are looked at again."""
JSON_PATCH = "application/json-patch+json"


class _Spec(msgspec.Struct, rename="camel"):
    gateway_class_name: str = ""


class _Gateway(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _Gateways(msgspec.Struct):
    items: tuple[_Gateway, ...] | None = None


class Releases:
    """`see` is told of every object; `keep` lets go of classes that are to be deleted and that no Gateway uses any more."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._due: dict[ObjectRef, tuple[Resource, list[str]]] = {}
        self._wake = asyncio.Event()

    def see(self, ref: ObjectRef, resource: Resource, found: Mapping[str, Any] | None) -> None:
        if ref.kind != "GatewayClass":
            return
        meta = (found or {}).get("metadata") or {}
        finalizers = meta.get("finalizers") or []
        ours = ((found or {}).get("spec") or {}).get("controllerName") == self._controller
        if ours and meta.get("deletionTimestamp") and FINALIZER in finalizers:
            self._due[ref] = (resource, finalizers)
            self._wake.set()
        else:
            self._due.pop(ref, None)

    async def keep(self, kube: Kube) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            for ref, (resource, finalizers) in tuple(self._due.items()):
                try:
                    await self._release(kube, ref, resource, finalizers)
                except Refused as e:
                    if e.code != NOT_FOUND:
                        log.warning("class_not_released", gateway_class=ref.name, error=str(e))
                except Unreachable as e:
                    log.warning("class_not_released", gateway_class=ref.name, error=str(e))
            if self._due:
                self._wake.set()
                await asyncio.sleep(LOOK_AGAIN)

    async def _release(self, kube: Kube, ref: ObjectRef, resource: Resource, finalizers: list[str]) -> None:
        gateways = msgspec.json.decode(await kube.get(f"{resource.base}/gateways"), type=_Gateways)
        if any(g.spec.gateway_class_name == ref.name for g in gateways.items or ()):
            return
        at = f"/metadata/finalizers/{finalizers.index(FINALIZER)}"
        # the test: somebody else may have taken another one away meanwhile
        change = [{"op": "test", "path": at, "value": FINALIZER}, {"op": "remove", "path": at}]
        await kube.request("PATCH", resource.path(ref), body=change, content_type=JSON_PATCH)
        self._due.pop(ref, None)
        log.info("class_released", gateway_class=ref.name)
