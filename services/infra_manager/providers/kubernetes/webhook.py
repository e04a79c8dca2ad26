"""The topology injector's server: asked by the API server at each binding of a pod, served by every replica, whoever has the lease."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import web

from services.infra_manager.providers.kubernetes.render.kinds import NODE, POD
from services.infra_manager.providers.kubernetes.zones import answer, bound, of_a_proxy, zone_of
from shared.core.refs import ObjectRef
from shared.kube.client import Kube, NoCluster, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource

log = structlog.get_logger("topology-injector")

PATH = "/inject-pod-topology"
PORT = 9443
PATIENCE = 2.0
"""Seconds; the API server waits for three."""
LOOK_AGAIN = 5.0


async def serve(certs: Path, port: int = PORT) -> None:
    """Until it is cancelled. `certs` has tls.crt and tls.key, which may come later and may change."""
    attempt = 0
    while True:
        try:
            async with await Kube.connect("headgate") as kube:
                await Injector(kube, certs).serve(port)
        except (OSError, NoCluster) as e:
            log.warning("topology_injector_cannot_serve", error=str(e))
        await retrying_pause(attempt)
        attempt += 1


class Injector:
    def __init__(self, kube: Kube, certs: Path) -> None:
        self._kube = kube
        self._files = (certs / "tls.crt", certs / "tls.key")

    async def serve(self, port: int) -> None:
        """Raises OSError where it cannot listen or has no certificate."""
        context, shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), self._contents()
        context.load_cert_chain(*self._files)
        app = web.Application()
        app.add_routes([web.post(PATH, self._review)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, None, port, ssl_context=context).start()
            log.info("topology_injector_serves", port=runner.addresses[0][1])
            while True:
                await asyncio.sleep(LOOK_AGAIN)
                if (now := self._contents()) != shown:
                    # connections from here on are shown the new one
                    context.load_cert_chain(*self._files)
                    shown = now
        finally:
            await runner.cleanup()

    def _contents(self) -> tuple[bytes, ...]:
        return tuple(f.read_bytes() for f in self._files)

    async def _review(self, request: web.Request) -> web.Response:
        try:
            review: dict[str, Any] = msgspec.json.decode(await request.read(), type=dict[str, Any])
        except msgspec.DecodeError:
            return web.Response(status=400)
        zone = ""
        try:
            async with asyncio.timeout(PATIENCE):
                zone = await self._zone(review)
        except (Refused, Unreachable, TimeoutError) as e:
            log.warning("zone_unknown", pod=str(bound(review)), error=str(e) or type(e).__name__)
        return web.Response(text=json.dumps(answer(review, zone)), content_type="application/json")

    async def _zone(self, review: dict[str, Any]) -> str:
        """'' for what is no proxy of ours, and for a node without one. Raises Refused, Unreachable."""
        at = bound(review)
        if at is None or not of_a_proxy(await self._get(POD, at.namespace, at.pod)):
            return ""
        return zone_of(await self._get(NODE, "", at.node))

    async def _get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        ref = ObjectRef(resource.group, resource.kind, namespace, name)
        found: dict[str, Any] = msgspec.json.decode(await self._kube.get(resource.path(ref)))
        return found
