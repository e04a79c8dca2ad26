"""Keeps one Gateway's Envoy as it should be: started, restarted with backoff, replaced without a gap, drained, watched."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from services.infra_manager.providers.host import ports
from services.infra_manager.providers.host.process import EnvoyProcess, last_words, trim_logs
from services.infra_manager.providers.host.render import Port, ProxySpec
from shared.bus.backoff import Backoff
from shared.bus.waiting import end
from shared.core.refs import GatewayRef
from shared.ir.status import InfraStatus

log = structlog.get_logger("infrastructure")

STEADY_SECONDS = 10.0
WARM_SECONDS = 30.0
"""A replacement that is not ready after this long is given up; the old process stays."""
SOON, BLOCKED, LATER = 0.05, 0.5, 2.0
"""Seconds between two looks: while something is expected, while ports are taken, and when all is well."""
PATIENCE_SECONDS = 3.0
"""How long a port that was taken must have been free without our listener before a new process tries again."""

Report = Callable[[GatewayRef, InfraStatus | None], None]


class Fleet:
    """`want` says what to run; `run` makes it so until `close`, which leaves the process alone."""

    def __init__(self, gateway: GatewayRef, home: Path, report: Report) -> None:
        self.gateway = gateway
        self.home = home
        self.wanted: ProxySpec | None = None
        self.conflict = ""
        self.removed = False
        self.current: EnvoyProcess | None = None
        self.restarts = 0
        self._next: EnvoyProcess | None = None
        self._refused = ""
        self._draining: dict[asyncio.Task[None], EnvoyProcess] = {}
        self._report = report
        self._told: InfraStatus | None = None
        self._wake = asyncio.Event()
        self._backoff = Backoff(first=0.2, most=10.0)
        self._not_before = 0.0
        self._changed = time.monotonic()
        self._taken: dict[Port, float] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        return self._task is not None and self._task.done()

    def start(self) -> None:
        """Begins to act; without effect when it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"fleet {self.gateway}")

    def adopt_draining(self, process: EnvoyProcess) -> None:
        """One of an earlier life that was being replaced, or drained already: then it has the time that is left."""
        self._retire(process, max(0.0, process.note.leaves_at - time.time()))

    def want(self, spec: ProxySpec | None) -> None:
        """None: the Gateway is known, but runs nothing. A removed fleet that is wanted again stays."""
        self.wanted = spec
        self.removed = False
        self._changed = time.monotonic()
        self._refused = ""
        self._wake.set()

    def remove(self) -> None:
        self.removed = True
        self._wake.set()

    def hinder(self, conflict: str) -> None:
        """Must not run while another fleet has its port; '' lifts that."""
        if conflict != self.conflict:
            self.conflict = conflict
            self._wake.set()

    async def close(self) -> None:
        if self._task is not None:
            await end(self._task)
        processes = [*self._draining.values(), self.current, self._next]
        for task in tuple(self._draining):
            task.cancel()
        for process in processes:
            if process is not None:
                await process.forget()

    async def _run(self) -> None:
        while not (self.removed and self.current is None and not self._draining):
            self._wake.clear()
            try:
                pause = await self._step()
            except Exception:
                log.exception("fleet_step_failed", gateway=str(self.gateway))
                pause = LATER
            await self._pause(pause)
        self._report(self.gateway, None)

    async def _pause(self, seconds: float) -> None:
        events = [self._wake, *(p.exited for p in (self.current, self._next) if p is not None and p.alive)]
        waits = [asyncio.create_task(e.wait()) for e in events]
        ends: list[asyncio.Task[None]] = list(self._draining) if self.removed else []
        try:
            await asyncio.wait([*waits, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _step(self) -> float:
        """One look at the world, and at most one action; seconds until the next look."""
        await self._bury()
        if self.removed or self.conflict or self.wanted is None:
            self._retire_all()
            self._tell(InfraStatus(message=self.conflict))
            return LATER
        if self.current is None:
            if time.monotonic() < self._not_before:
                return self._not_before - time.monotonic()
            hindrances = [ports.trouble(p, own=0) for p in self.wanted.ports]
            if hindrances and all(hindrances):
                # an Envoy that can bind nothing would only make the control plane believe that its configuration is bad
                self._tell(InfraStatus(addresses=self.wanted.addresses, message="; ".join(hindrances)))
                return BLOCKED
            self._launch(self.wanted)
            return SOON
        if self.current.note.key != self.wanted.key:
            await self._replace(self.wanted)
            return SOON
        return await self._look(self.current, self.wanted)

    async def _bury(self) -> None:
        """Notices a dead process; when to try again."""
        process = self.current
        if process is None or process.alive:
            return
        self.current = None
        await process.forget()
        if process.age > STEADY_SECONDS:
            self._backoff.reset()
        wait = self._backoff.next()
        self._not_before = time.monotonic() + wait
        self.restarts += 1
        words = self._troubles(process) or f"Envoy ended: {last_words(self.home)}"
        log.warning("envoy_ended", gateway=str(self.gateway), pid=process.note.pid, code=process.code, restart_in=round(wait, 2))
        self._tell(InfraStatus(message=words))

    def _troubles(self, process: EnvoyProcess) -> str:
        wanted = self.wanted.ports if self.wanted is not None else ()
        return "; ".join(t for p in wanted if (t := ports.trouble(p, process.note.pid)))

    def _launch(self, spec: ProxySpec) -> None:
        try:
            self.current = EnvoyProcess.start(self.home, spec, f"{self.gateway.namespace}/{self.gateway.name}")
        except OSError as e:
            self._not_before = time.monotonic() + self._backoff.next()
            self._tell(InfraStatus(message=f"{spec.arguments[0]}: {e.strerror}"))
            return
        self._changed = time.monotonic()
        log.info("envoy_started", gateway=str(self.gateway), pid=self.current.note.pid, log=str(self.home / "envoy.log"))

    async def _replace(self, spec: ProxySpec) -> None:
        """Make before break: the new process binds beside the old one (SO_REUSEPORT), then the old one drains."""
        if self._refused == spec.key:
            return
        if self._next is not None and self._next.alive and self._next.note.key != spec.key:
            self._retire(self._next, 0)
            self._next = None
        if self._next is None:
            self._next = EnvoyProcess.start(self.home, spec, f"{self.gateway.namespace}/{self.gateway.name}")
            log.info("envoy_replacing", gateway=str(self.gateway), pid=self._next.note.pid)
            return
        if not self._next.alive or self._next.age > WARM_SECONDS:
            self._retire(self._next, 0)
            self._next = None
            self._refused = spec.key
            log.error("envoy_replacement_failed", gateway=str(self.gateway), last_words=last_words(self.home))
            self._tell(InfraStatus(addresses=spec.addresses, ready=True, replicas=1, message=f"new Envoy: {last_words(self.home)}"))
            return
        if await self._next.admin.ready() and await self._holds_as_much(self._next):
            old, self.current, self._next = self.current, self._next, None
            if old is not None:
                self._retire(old, spec.drain_seconds)
            log.info("envoy_replaced", gateway=str(self.gateway), pid=self.current.note.pid)

    async def _holds_as_much(self, process: EnvoyProcess) -> bool:
        """Every listener of the current process is bound in the new one, too."""
        old = await self.current.admin.bound_ports() if self.current is not None else None
        new = await process.admin.bound_ports()
        return not old or (new is not None and old <= new)

    def _retire_all(self) -> None:
        for process in (self.current, self._next):
            if process is not None:
                self._retire(process, self.wanted.drain_seconds if self.wanted is not None else 0)
        self.current = self._next = None

    def _retire(self, process: EnvoyProcess, drain_seconds: float) -> None:
        task = asyncio.create_task(process.drain(drain_seconds), name=f"drain {process.note.pid}")
        self._draining[task] = process
        task.add_done_callback(lambda done: self._draining.pop(done, None))

    async def _look(self, process: EnvoyProcess, spec: ProxySpec) -> float:
        trim_logs(self.home)
        bound = await process.admin.bound_ports()
        live = bound is not None and await process.admin.ready()
        held = bound or frozenset()
        missing = [p for p in spec.ports if (p.number, p.transport) not in held]
        self._taken = {p: since for p, since in self._taken.items() if p in missing}
        messages: list[str] = []
        for port in missing:
            trouble = ports.trouble(port, process.note.pid)
            if trouble:
                messages.append(trouble)
                self._taken[port] = time.monotonic()
        if any(time.monotonic() - since > PATIENCE_SECONDS for since in self._taken.values()):
            # it was taken and is free now, but this process had its listener refused and will not be asked again
            self._taken.clear()
            process.note = process.note._replace(key="")
            return SOON
        if live and process.age > STEADY_SECONDS:
            self._backoff.reset()
        ready = live and (not spec.ports or len(missing) < len(spec.ports))
        if not process.alive:
            return 0
        self._tell(InfraStatus(addresses=spec.addresses, ready=ready, replicas=1 if live else 0, message="; ".join(messages)))
        expecting = not live or (missing and not messages)
        return SOON if expecting and time.monotonic() - self._changed < STEADY_SECONDS else LATER

    def _tell(self, status: InfraStatus) -> None:
        if status != self._told:
            self._told = status
            with contextlib.suppress(Exception):
                self._report(self.gateway, status)
