"""Keeps one fleet's objects as its plan says: applied, repaired, and removed when nothing wants them any more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from services.infra_manager.providers.kubernetes.applying import Applier, NotOurs
from services.infra_manager.providers.kubernetes.objects import Objects
from services.infra_manager.providers.kubernetes.observed import available, status
from services.infra_manager.providers.kubernetes.render.plan import Manifest, Plan
from shared.bus.backoff import Backoff
from shared.bus.waiting import end
from shared.core.refs import GatewayRef, ObjectRef
from shared.ir.status import InfraStatus
from shared.kube.client import Refused, Unreachable

log = structlog.get_logger("infrastructure")

_WORKLOADS = ("Deployment", "DaemonSet")
_FIRST = ("ServiceAccount", "ConfigMap")
"""Pods need them to start."""

Report = Callable[[GatewayRef, InfraStatus | None], None]


class Keeper:
    """`want` and `remove` say what should be; `look` that something changed. Works until `close`, which leaves everything as it is."""

    def __init__(self, fleet: GatewayRef, applier: Applier, objects: Objects, report: Report) -> None:
        self.fleet = fleet
        self._applier = applier
        self._objects = objects
        self._report = report
        self._plan: Plan | None = None
        self._removed = False
        self._told: InfraStatus | None = None
        self._wake = asyncio.Event()
        self._wished = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        return self._task is not None and self._task.done()

    def want(self, plan: Plan | None) -> None:
        """None: the Gateway is known, but is to run nothing."""
        self._plan, self._removed = plan, False
        self._start()

    def remove(self) -> None:
        self._removed = True
        self._start()

    def look(self) -> None:
        self._wake.set()

    async def close(self) -> None:
        if self._task is not None:
            await end(self._task)

    def _start(self) -> None:
        self._wished.set()
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"keep {self.fleet}")

    async def _run(self) -> None:
        failures, repairs = Backoff(first=0.2, most=30.0), Backoff(first=0.05, most=10.0)
        not_before, trouble = 0.0, ""
        while True:
            await self._woken(not_before - time.monotonic() if not_before else None)
            wished = self._wished.is_set()
            if wished or time.monotonic() >= not_before:
                self._wished.clear()
                outcome = await self._attempt()
                trouble, pause = outcome or "", 0.0
                if outcome is None:
                    failures.reset()
                    repairs.reset()
                elif outcome:
                    pause = failures.next()
                elif not wished:
                    # somebody else may want it otherwise, and would answer each of our repairs
                    pause = repairs.next()
                not_before = time.monotonic() + pause if pause else 0.0
            self._tell(trouble)
            if self._removed and not self._objects.of(self.fleet):
                self._report(self.fleet, None)
                return

    async def _woken(self, timeout: float | None) -> None:
        """By a wish, by a change of what is there, or when it is time to try again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if timeout is None else max(0.0, timeout)):
                await self._wake.wait()
        self._wake.clear()

    async def _attempt(self) -> str | None:
        """None: all was as it should be; '': now it is; else what is wrong."""
        try:
            return "" if await self._step() else None
        except (Refused, Unreachable, NotOurs, ValueError) as e:
            log.warning("fleet_not_applied", gateway=str(self.fleet), error=str(e))
            return str(e)
        except Exception as e:
            log.exception("fleet_step_failed", gateway=str(self.fleet))
            return f"{type(e).__name__}: {e}"

    async def _step(self) -> bool:
        """Whether anything had to be done."""
        plan = self._plan
        if self._removed or plan is None:
            return await self._delete(self._objects.of(self.fleet))
        if plan.keep:
            return False
        todo = [m for m in plan.manifests if not self._applier.stands(m)]
        if todo:
            owner = await self._applier.owner_reference(plan.owner)
            for stage in ([m for m in todo if m.ref.kind in _FIRST], [m for m in todo if m.ref.kind not in _FIRST]):
                await self._put(plan, stage, owner)
        return await self._delete(self._unwanted(plan)) or bool(todo)

    async def _put(self, plan: Plan, manifests: list[Manifest], owner: dict[str, object] | None) -> None:
        """All of them at once; one that fails keeps no other from being made."""
        outcomes = await asyncio.gather(*(self._applier.put(plan, m, owner) for m in manifests), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _unwanted(self, plan: Plan) -> list[ObjectRef]:
        """What the fleet has too much. An old workload, and what its pods need, stays until the new one has taken over."""
        wanted = {m.ref for m in plan.manifests}
        extra = [ref for ref in self._objects.of(self.fleet) if ref not in wanted]
        taken_over = any(available(self._objects.get(ref)) for ref in wanted if ref.kind in _WORKLOADS)
        if taken_over or not any(ref.kind in _WORKLOADS for ref in extra):
            return extra
        return [ref for ref in extra if ref.kind not in (*_WORKLOADS, *_FIRST)]

    async def _delete(self, refs: list[ObjectRef]) -> bool:
        todo = [ref for ref in refs if not ((self._objects.get(ref) or {}).get("metadata") or {}).get("deletionTimestamp")]
        for ref in todo:
            await self._applier.delete(ref)
        return bool(todo)

    def _tell(self, trouble: str) -> None:
        live = list(self._objects.live(self.fleet))
        found = status(None if self._removed else self._plan, live, self._objects.nodes, trouble)
        if found != self._told and not (self._removed and not live):
            self._told = found
            with contextlib.suppress(Exception):
                self._report(self.fleet, found)
