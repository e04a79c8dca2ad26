"""Who asks extension servers, and when: one replica a Gateway, the latest question about each thing, and nothing that was answered before.

A question that fails is asked again, later and later; meanwhile its resource goes out unchanged (failOpen), as it last was, or not at all.
The other replicas take the answers from the bus.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

import msgspec
import structlog

from services.xds_server import metrics
from services.xds_server.hooks.client import Client, Failed
from services.xds_server.hooks.kept import Kept, Last, Record, record, subject
from services.xds_server.hooks.plan import Answer, Ask, Slot
from services.xds_server.hooks.questions import Questions, Subject, Todo, failing, without
from services.xds_server.hooks.turn import Turn
from shared.bus.connection import Bus
from shared.core.refs import GatewayRef
from shared.core.sealing import Sealer
from shared.extension.protocol import TRANSLATION

log = structlog.get_logger("xds-server")

SHORTEST, LONGEST = 0.2, 5.0
"""Seconds before a failed question is asked again: at first, and at most."""
PATIENCE = 2.0
"""Seconds over a server's timeout that a replica waits for the one that asks."""
_LOOKED = 0.25
"""Seconds between looks for those that were waited for too long."""
_FEW, _TOGETHER = 8, 0.05
"""Up to so many open questions are nothing to wait for; with more, answers are taken together every so many seconds."""
_SPARE = 64
"""How many answers more than there are questions may be kept before they are looked through."""

OnAnswers = Callable[[GatewayRef, Mapping[Ask, Answer]], None]


class Asker:
    """Synchronous but for `run`; all of it belongs to the event loop's thread."""

    def __init__(self, bus: Bus, sealer: Sealer, holder: str, clients: Mapping[str, Client]) -> None:
        self._bus = bus
        self._sealer = sealer
        self._holder = holder
        self._clients = clients
        self._gateways: dict[GatewayRef, Questions] = {}
        self._answered: OnAnswers = lambda ref, answers: None
        self.kept = Kept(sealer, self._on_kept, self._on_gone)
        self._whole = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()

    def on_answers(self, callback: OnAnswers) -> None:
        """Calls back with answers that come later than `look`."""
        self._answered = callback

    def look(self, of: Subject) -> dict[Ask, Answer]:
        """Takes a Gateway's open questions: answers that are known already; the others are asked."""
        at = self._gateways.get(of.ref)
        if at is None or at.of is not of:
            self.forget(of.ref)
            at = self._gateways[of.ref] = Questions(of, self._turn)
            at.task = asyncio.get_running_loop().create_task(at.turn.run(), name=f"extensions {of.ref}")
            at.task.add_done_callback(_told)
        for client in self._clients.values():
            client.use(of.credentials)
        if not at.turn.ours:
            of.renew()
        found: dict[Ask, Answer] = {}
        for ask in of.asks():
            last = self.kept.known(of.ref, ask) if self._whole.is_set() else None
            todo = at.todo.get(ask.slot)
            if last is not None and not last.failed:
                metrics.EXTENSION_REUSED.labels(ask.server, ask.hook).inc()
                found[ask] = last.answer
                if todo is not None and todo.task is None:
                    del at.todo[ask.slot]
            elif todo is None:
                todo = at.todo[ask.slot] = Todo(ask)
                self._start(at, todo)
                if last is not None:
                    todo.fault = last.failed
                    found[ask] = self._without(at, ask)
            elif todo.ask != ask:
                todo.renew(ask)
                if todo.fault:
                    # known to fail: others do not wait for the next try
                    self._note_failure(at, todo)
                    found[ask] = self._without(at, ask)
        self._sweep(at)
        return found

    def forget(self, ref: GatewayRef) -> None:
        """The Gateway begins anew, or this replica ends."""
        at = self._gateways.pop(ref, None)
        if at is not None:
            at.stop()
            if at.task is not None:
                at.task.cancel()

    def remove(self, ref: GatewayRef) -> None:
        """The Gateway is gone, and what is kept of it goes."""
        at = self._gateways.get(ref)
        if at is not None and at.task is not None and at.turn.ours:
            del self._gateways[ref]
            at.stop()
            slots = self.kept.slots(ref)
            at.turn.close(subject(ref, slot) for slot in slots)
            for slot in slots:
                # should it come back, what is being taken away is not to be relied on
                self.kept.drop(ref, slot)
            self._leaving.add(at.task)
            at.task.add_done_callback(self._leaving.discard)
        else:
            self.forget(ref)

    async def run(self) -> None:
        """Until cancelled."""
        ticking = asyncio.create_task(self._tick())
        try:
            await self.kept.follow(self._bus, self._begin)
        finally:
            ticking.cancel()
            for task in self._leaving:
                task.cancel()
            for ref in list(self._gateways):
                self.forget(ref)
            for client in self._clients.values():
                await client.close()

    # inside

    def _turn(self, at: Questions) -> Turn:
        return Turn(self._bus, at.of.ref, self._holder, lambda: self._start_all(at), at.stop, lambda there: self._lacking(at, there))

    def _start_all(self, at: Questions) -> None:
        for todo in list(at.todo.values()):
            self._start(at, todo)

    def _begin(self) -> None:
        """All that is kept has been read: only now it is known what has to be asked."""
        if self._whole.is_set():
            return
        self._whole.set()
        for at in list(self._gateways.values()):
            known = {todo.ask: self.kept.known(at.of.ref, todo.ask) for todo in at.todo.values()}
            ready = {ask: last.answer for ask, last in known.items() if last is not None and not last.failed}
            for ask in ready:
                metrics.EXTENSION_REUSED.labels(ask.server, ask.hook).inc()
                del at.todo[ask.slot]
            if ready:
                self._answered(at.of.ref, ready)
            self._start_all(at)

    def _start(self, at: Questions, todo: Todo) -> None:
        if at.turn.ours and self._whole.is_set() and todo.task is None:
            todo.task = asyncio.get_running_loop().create_task(self._fly(at, todo))
            todo.task.add_done_callback(_told)

    async def _fly(self, at: Questions, todo: Todo) -> None:
        """Asks until there is an answer to the latest question, or nobody wants it any more."""
        pause = SHORTEST
        while at.of.asking(todo.ask):
            ask = todo.ask
            begin = time.monotonic()
            request = at.of.request_of(ask)
            try:
                answer = await self._clients[ask.server].ask(ask, request)
                self._note(at, ask, request, answer, begin)
            except Failed as e:
                if todo.ask.hook == TRANSLATION or at.of.asking(todo.ask):
                    self._failed(at, todo, str(e))
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, LONGEST)
                continue
            if todo.fault:
                log.info("extension_answers_again", gateway=str(at.of.ref), extension=ask.server, hook=ask.hook, resource=ask.resource)
            todo.fault, pause = "", SHORTEST
            if todo.ask == ask:
                del at.todo[ask.slot]
                self._tell(at)
                self._deliver(at, {ask: answer})
                return
            self._tell(at)
            if ask.hook != TRANSLATION:
                # newer than what is shown, though it is not the latest
                self._deliver(at, {todo.ask: answer._replace(stands_in=True)})
        if at.todo.get(todo.ask.slot) is todo:
            del at.todo[todo.ask.slot]
            self._tell(at)

    def _failed(self, at: Questions, todo: Todo, fault: str) -> None:
        ask = todo.ask
        if todo.fault != fault:
            text = "extension_failed"
            log.warning(text, gateway=str(at.of.ref), extension=ask.server, hook=ask.hook, resource=ask.resource, error=fault)
        first, todo.fault = not todo.fault, fault
        self._tell(at)
        if first:
            self._note_failure(at, todo)
        self._deliver(at, {ask: self._without(at, ask)})

    def _note_failure(self, at: Questions, todo: Todo) -> None:
        """What goes out unchanged does so from every replica."""
        ask = todo.ask
        if self._clients[ask.server].server.fail_open and at.turn.ours:
            made = Record(ask.server, ask.hook, ask.resource, ask.digest, failed=todo.fault)
            self._store(at, ask.slot, msgspec.json.encode(made), Last(ask.digest, Answer(stands_in=True), todo.fault))

    def _after(self, ask: Ask) -> str:
        """The servers that are asked before: what they left off is what the answer is about."""
        names = [name for name, client in self._clients.items() if ask.hook in client.server.hooks]
        return ",".join(names[: names.index(ask.server)])

    def _without(self, at: Questions, ask: Ask) -> Answer:
        last = self.kept.get(at.of.ref, ask.slot)
        if last is not None and last.after != self._after(ask):
            last = None
        return without(ask, last, self._clients[ask.server].server.fail_open)

    def _note(self, at: Questions, ask: Ask, request: bytes, answer: Answer, begin: float) -> None:
        """Raises Failed: what cannot be kept the other replicas would never have."""
        took = round((time.monotonic() - begin) * 1000, 3)
        last = Last(ask.digest, answer, after=self._after(ask))
        data = record(self._sealer, ask, request, last, took, self._bus.max_value)
        if data is None:
            raise Failed(f"the answer has {len(answer.body or b'')} bytes, too many to be kept on the bus (max_payload of NATS)")
        self._store(at, ask.slot, data, last)

    def _store(self, at: Questions, slot: Slot, data: bytes, last: Last) -> None:
        self.kept.put(at.of.ref, slot, last)
        at.turn.keep(subject(at.of.ref, slot), data)

    def _lacking(self, at: Questions, there: AbstractSet[str]) -> dict[str, bytes]:
        """What is of use and stands no more on the bus, which lost its disk, say."""
        ref = at.of.ref
        slots = {subject(ref, slot): slot for slot in self.kept.slots(ref) & at.of.wanted()}
        return {to: self.kept.value(ref, slot) for to, slot in slots.items() if to not in there}

    def _on_gone(self, ref: GatewayRef, slots: frozenset[Slot]) -> frozenset[Slot]:
        """Somebody took away what he had no use for. Of what is of use here is said again what it was."""
        at = self._gateways.get(ref)
        if at is None:
            return frozenset()
        found = slots & at.of.wanted()
        for slot in found if at.turn.ours else ():
            at.turn.keep(subject(ref, slot), self.kept.value(ref, slot))
        return found

    def _sweep(self, at: Questions) -> None:
        """What nobody asks about any more is not kept for ever."""
        ref = at.of.ref
        slots = self.kept.slots(ref)
        if not at.turn.ours or len(slots) <= _SPARE or len(slots) <= 2 * len(wanted := at.of.wanted()) + _SPARE:
            return
        for slot in slots - wanted:
            self.kept.drop(ref, slot)
            at.turn.keep(subject(ref, slot), None)

    def _on_kept(self, ref: GatewayRef, slot: Slot) -> None:
        """Another replica's answer."""
        at = self._gateways.get(ref)
        todo = at.todo.get(slot) if at is not None else None
        last = self.kept.get(ref, slot)
        if at is None or todo is None or last is None or todo.task is not None or not self._whole.is_set():
            return
        if last.digest == todo.ask.digest:
            if last.failed:
                todo.fault = last.failed
            else:
                del at.todo[slot]
            self._tell(at)
            self._deliver(at, {todo.ask: last.answer})

    def _deliver(self, at: Questions, answers: Mapping[Ask, Answer]) -> None:
        """An answer to one of few questions counts at once; of many that come together some are waited for, and rendering runs once."""
        at.answers.update(answers)
        if len(at.todo) <= _FEW:
            self._flush(at)
        elif not at.delivering:
            at.delivering = True
            asyncio.get_running_loop().call_later(_TOGETHER, self._flush, at)

    def _flush(self, at: Questions) -> None:
        at.delivering = False
        answers, at.answers = at.answers, {}
        if answers and self._gateways.get(at.of.ref) is at:
            self._answered(at.of.ref, answers)

    async def _tick(self) -> None:
        """A replica that does not ask waits for the one that does, but not for ever."""
        while True:
            await asyncio.sleep(_LOOKED)
            now = time.monotonic()
            for at in list(self._gateways.values()):
                late: dict[Ask, Answer] = {}
                before = len(at.todo)
                for todo in at.late(now, lambda slot: self._clients[slot.server].timeout + PATIENCE):
                    todo.fault = "no replica has an answer"
                    late[todo.ask] = self._without(at, todo.ask)
                if late or len(at.todo) < before:
                    self._tell(at)
                if late:
                    self._answered(at.of.ref, late)

    def _tell(self, at: Questions) -> None:
        """What is wrong, for the Gateway's status and for metrics; of many questions that fail at once it is told once."""
        if not at.telling:
            at.telling = True
            asyncio.get_running_loop().call_soon(self._tell_now, at)

    def _tell_now(self, at: Questions) -> None:
        at.telling = False
        at.of.faults = at.reports(self._clients)
        for name in self._clients:
            metrics.EXTENSION_FAILING.labels(name).set(failing(self._gateways.values(), name))
        if self._gateways.get(at.of.ref) is at:
            self._answered(at.of.ref, {})


def _told(task: asyncio.Task[None]) -> None:
    """A mistake of ours is not to vanish with its task."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("asking_broke_off", task=task.get_name(), error=f"{type(error).__name__}: {error}", exc_info=error)
