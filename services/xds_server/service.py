"""xds_server: whole versions of the IR from the bus, to Envoys over ADS; what they hold and reject back onto the bus."""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog

from services.xds_server import modules
from services.xds_server.hooks.asker import Asker
from services.xds_server.hooks.client import Client
from services.xds_server.hooks.plan import Server
from services.xds_server.limits.server import LimitServer
from services.xds_server.server import XdsServer
from services.xds_server.settings import XdsSettings
from shared.bus.blobs import Blobs
from shared.bus.connection import Bus
from shared.bus.snapshot import SnapshotReader
from shared.bus.table import TableWriter
from shared.core import durations, names
from shared.core.accounts import Prove
from shared.core.digest import digest
from shared.core.refs import GatewayRef
from shared.extension.protocol import INCLUDED
from shared.ir.status import XdsStatus
from shared.runtime import garbage, start
from shared.runtime.config import EnvoyGateway
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.terms import connected
from shared.runtime.waiting import Stopped, all_or_stopped

log = structlog.get_logger("xds-server")

STATUS_TTL = 60
"""Seconds that a replica's word stands after it fell silent."""
DUTY, AT_ONCE = 4, 0.005
"""After publishing what took longer than AT_ONCE seconds, pause for so many times of that: news of one proxy goes out at once, of
thousands it comes in batches."""


class Statuses:
    """What proxies hold, as it changes; several changes that come together go out as one."""

    def __init__(self, bus: Bus, replica: str) -> None:
        self._writer = TableWriter(bus, "status.xds", ttl=STATUS_TTL)
        self._replica = replica
        self._latest: dict[GatewayRef, XdsStatus | None] = {}
        self._wake = asyncio.Event()

    def note(self, gateway: GatewayRef, status: XdsStatus | None) -> None:
        self._latest[gateway] = status
        self._wake.set()

    async def publish(self) -> None:
        """Until cancelled."""
        await self._writer.open()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                latest, self._latest = self._latest, {}
                begin = time.monotonic()
                await self._writer.put({self._subject(g): msgspec.json.encode(s) if s is not None else None for g, s in latest.items()})
                if (took := time.monotonic() - begin) > AT_ONCE:
                    await asyncio.sleep(DUTY * took)
        finally:
            await self._writer.close()

    def _subject(self, gateway: GatewayRef) -> str:
        return f"{gateway.subject('status.xds')}.{names.escape(self._replica)}"


def xds_settings(settings: Settings) -> XdsSettings:
    """Certificates as certgen lays them out; without a certificate folder plaintext, which XdsServer allows on loopback only."""
    age = settings.config.xds_server.max_connection_age
    folder = settings.cert_dir / "envoy-gateway" if settings.cert_dir else None
    return XdsSettings(
        certificate=str(folder / "tls.crt") if folder else None,
        private_key=str(folder / "tls.key") if folder else None,
        client_ca=str(folder / "ca.crt") if folder else None,
        namespace=settings.namespace,
        max_stream_age=durations.parse(age) / 1e9 if age else None,
        names_by_port=settings.config.runtime_flags.has("XDSNameSchemeV2"),
    )


def extension_servers(config: EnvoyGateway) -> tuple[Server, ...]:
    """Who is asked, and about what, in the order of the configuration. One without hooks has nothing to say."""
    return tuple(
        Server(
            name=each.label,
            hooks=each.asked,
            fail_open=each.fail_open,
            resources=frozenset((k.group, k.kind) for k in (*each.resources, *each.backend_resources)),
            policies=frozenset((k.group, k.kind) for k in each.policy_resources),
            includes=frozenset(kind for kind in INCLUDED if each.includes(kind)),  # type: ignore[arg-type]
            generation=digest(msgspec.json.encode(each))[:16],
        )
        for each in config.managers
        if each.asked
    )


async def run(settings: Settings, ops: Ops, stop: asyncio.Event, prove: Prove | None = None) -> None:
    """`prove`: proxies show tokens in place of certificates."""
    sealer = start.sealer(settings)
    extensions = extension_servers(settings.config)
    server = XdsServer(xds_settings(settings), sealer.open, prove, extensions)
    try:
        bus = await connected(settings, ops, stop)
    except Stopped:
        return
    statuses = Statuses(bus, settings.holder)
    server.on_status(statuses.note)
    ops.details = lambda: {"streams": server.streams}
    works = [_follow(bus, server, ops), server.serve(f"{settings.xds_host}:{settings.xds_port}", stop), statuses.publish()]
    if extensions:
        by_name = {each.name: each for each in extensions}
        clients = {m.label: Client(m, by_name[m.label], sealer.open) for m in settings.config.managers if m.label in by_name}
        asker = Asker(bus, sealer, settings.holder, clients)
        server.use(asker)
        works.append(asker.run())
    works.append(modules.serve(Blobs(bus), f"{settings.xds_host}:{settings.wasm_port}", xds_settings(settings), stop))
    if settings.config.rate_limit is not None:
        limits = LimitServer(xds_settings(settings), server.limits)
        server.on_limits(limits.changed)
        works.append(limits.serve(f"{settings.xds_host}:{settings.config.rate_limit.config_port}", stop))
    try:
        await all_or_stopped(stop, *works)
    finally:
        await bus.close()


async def _follow(bus: Bus, server: XdsServer, ops: Ops) -> None:
    reader = SnapshotReader(bus)
    ops.ready()
    try:
        async for version in reader:
            ops.backlog.enter()
            if version.removed:
                server.remove(version.gateway)
            else:
                server.update(version.gateway, version.version, version.incarnation, version.changed, version.full)
            if reader.caught_up and not reader.waiting:
                server.complete()
            ops.backlog.leave()
            if version.full:
                garbage.settle_in()
            log.info(
                "serving", gateway=str(version.gateway), version=version.version, shards=len(version.changed), trace=version.trace[3:35]
            )
    finally:
        await reader.close()
