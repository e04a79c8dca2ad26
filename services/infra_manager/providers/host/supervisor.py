"""All fleets of this machine: takes over what an earlier life left, settles who has which port, keeps the reaper awake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import structlog

from services.infra_manager.providers.host import pidfiles
from services.infra_manager.providers.host.fleet import Fleet
from services.infra_manager.providers.host.pidfiles import FOLDER, REAPER, locked, notes, read_note, take_note
from services.infra_manager.providers.host.ports import claims
from services.infra_manager.providers.host.process import EnvoyProcess
from services.infra_manager.providers.host.render import HostOptions, ProxySpec, render
from services.infra_manager.reports import Reports
from shared.bootstrap.default import sds_files
from shared.bus.waiting import end
from shared.core import names
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra
from shared.ir.status import InfraStatus
from shared.runtime.binaries import find
from shared.runtime.settings import Settings

log = structlog.get_logger("infrastructure")

LOCK = "lock"
"""In the state folder; whoever runs us for a while holds it, and its release ends the Envoys."""
CHECK_SECONDS = 2.0


class HostInfrastructure:
    """The provider `Host`. Files below `<state_dir>/envoy/<ns>.<name>/`."""

    def __init__(self, settings: Settings) -> None:
        self._state_dir = settings.state_dir.absolute()
        self._root = self._state_dir / FOLDER
        self._cert_dir = settings.cert_dir.absolute() / "envoy" if settings.cert_dir is not None else None
        self._options = HostOptions(
            envoy=str(find("envoy")),
            xds_host=settings.xds_host,
            xds_port=settings.xds_port,
            sds_dir=str(self._root / "sds") if self._cert_dir is not None and not settings.xds_plaintext else "",
        )
        self._fleets: dict[GatewayRef, Fleet] = {}
        self._reports = Reports()
        self._reaping: asyncio.Task[None] | None = None

    async def open(self) -> frozenset[GatewayRef]:
        self._root.mkdir(parents=True, exist_ok=True)
        self._write_sds()
        found: dict[GatewayRef, list[EnvoyProcess]] = {}
        for folder, note in notes(self._state_dir):
            gateway = GatewayRef(*note.gateway.split("/", 1))
            if note.alive:
                found.setdefault(gateway, []).append(EnvoyProcess(folder, note))
        for gateway, processes in found.items():
            fleet = self._fleet(gateway)
            staying = sorted((p for p in processes if not p.note.leaves_at), key=lambda p: p.folder.name)
            if staying:
                fleet.current = staying[-1]
                log.info("envoy_adopted", gateway=str(gateway), pid=fleet.current.note.pid)
            for process in processes:
                if process is not fleet.current:
                    fleet.adopt_draining(process)
        self._reaping = asyncio.create_task(self._keep_reaper(), name="reaper")
        return frozenset(found)

    def render(self, gateway: GatewayRef, infra: Infra) -> ProxySpec | None:
        return render(gateway, infra, self._options)

    async def apply(self, gateway: GatewayRef, plan: ProxySpec | None) -> None:
        fleet = self._fleet(gateway)
        fleet.want(plan)
        self._settle()
        fleet.start()

    async def remove(self, gateway: GatewayRef) -> None:
        fleet = self._fleets.get(gateway)
        if fleet is None:
            self._report(gateway, None)
            return
        fleet.remove()
        fleet.start()
        self._settle()

    async def observe(self) -> tuple[GatewayRef, InfraStatus | None]:
        return await self._reports.next()

    async def close(self) -> None:
        if self._reaping is not None:
            await end(self._reaping)
        for fleet in self._fleets.values():
            await fleet.close()

    def processes(self) -> dict[GatewayRef, EnvoyProcess | None]:
        """Each fleet's process now, None while it has none."""
        return {gateway: fleet.current for gateway, fleet in self._fleets.items()}

    def _fleet(self, gateway: GatewayRef) -> Fleet:
        fleet = self._fleets.get(gateway)
        if fleet is None or fleet.ended:
            home = self._root / names.join(gateway.namespace, gateway.name)
            home.mkdir(parents=True, exist_ok=True)
            fleet = self._fleets[gateway] = Fleet(gateway, home, self._report)
        return fleet

    def _settle(self) -> None:
        wanted = {g: f.wanted.ports if f.wanted is not None and not f.removed else () for g, f in self._fleets.items()}
        conflicts = claims(wanted)
        for gateway, fleet in self._fleets.items():
            fleet.hinder(conflicts.get(gateway, ""))

    def _report(self, gateway: GatewayRef, status: InfraStatus | None) -> None:
        if status is None:
            self._fleets.pop(gateway, None)
            self._settle()
        self._reports.tell(gateway, status)

    def _write_sds(self) -> None:
        if not self._options.sds_dir or self._cert_dir is None:
            return
        folder = Path(self._options.sds_dir)
        folder.mkdir(exist_ok=True)
        for name, content in sds_files(str(self._cert_dir)).items():
            text = json.dumps(content)
            path = folder / name
            if not path.exists() or path.read_text() != text:
                draft = folder / f".{name}"
                draft.write_text(text)
                draft.replace(path)

    async def _keep_reaper(self) -> None:
        """Where a supervisor holds the state folder's lock, one process waits for its end, even if we die first."""
        while True:
            note = read_note(self._root / REAPER)
            if locked(self._state_dir / LOCK) and (note is None or not note.alive):
                self._start_reaper()
            await asyncio.sleep(CHECK_SECONDS)

    def _start_reaper(self) -> None:
        program = str(Path(pidfiles.__file__))
        null = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in (0, 1, 2)]
        command = (sys.executable, "-I", program, str(self._state_dir), str(self._state_dir / LOCK))
        with contextlib.suppress(OSError):
            pid = os.posix_spawn(sys.executable, command, dict(os.environ), file_actions=null, setsid=True)
            take_note(self._root, pid, program, name=REAPER)
