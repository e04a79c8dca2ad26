"""One Gateway's questions under way, what stands in for the answers that do not come, and what is told about those."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from services.xds_server.hooks.client import Client
from services.xds_server.hooks.kept import Last
from services.xds_server.hooks.plan import Answer, Ask, Slot
from services.xds_server.hooks.turn import Turn
from shared.core.refs import GatewayRef
from shared.extension.protocol import TRANSLATION
from shared.ir.status import ExtensionReport
from shared.ir.unstructured import ExtensionServer

MOST_FAULTS = 10


class Subject(Protocol):
    """A Gateway, as far as its questions go."""

    ref: GatewayRef
    faults: Mapping[str, ExtensionReport]

    def asks(self) -> frozenset[Ask]: ...
    def asking(self, ask: Ask) -> bool: ...
    def renew(self) -> None: ...
    def request_of(self, ask: Ask) -> bytes: ...
    def wanted(self) -> frozenset[Slot]: ...

    @property
    def credentials(self) -> tuple[ExtensionServer, ...]: ...


class Todo:
    """The latest question about one thing, until it has an answer. `since`: when it was raised; `fault`: why there is none."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.since = time.monotonic()
        self.fault = ""
        self.task: asyncio.Task[None] | None = None

    def renew(self, ask: Ask) -> None:
        """Something newer is asked about the same thing."""
        self.ask, self.since = ask, time.monotonic()


class Questions:
    """Of one Gateway."""

    def __init__(self, of: Subject, turn: Callable[[Questions], Turn]) -> None:
        self.of = of
        self.todo: dict[Slot, Todo] = {}
        self.turn = turn(self)
        self.telling = False
        self.answers: dict[Ask, Answer] = {}
        """Answers that rendering has not been told of."""
        self.delivering = False
        self.task: asyncio.Task[None] | None = None

    def late(self, now: float, patience: Callable[[Slot], float]) -> Iterator[Todo]:
        """Those that another replica should have answered by now. What is of no use any more goes."""
        for slot, todo in list(self.todo.items()):
            if todo.task is not None:
                continue
            if not self.of.asking(todo.ask):
                del self.todo[slot]
            elif not todo.fault and now - todo.since > patience(slot):
                yield todo

    def stop(self) -> None:
        """The turn is over: others ask from now on."""
        for todo in self.todo.values():
            todo.since = time.monotonic()
            if todo.task is not None:
                todo.task.cancel()
                todo.task = None

    def reports(self, clients: Mapping[str, Client]) -> dict[str, ExtensionReport]:
        """What is wrong, by server."""
        faults: dict[str, list[str]] = {}
        for slot, todo in sorted(self.todo.items()):
            if todo.fault:
                faults.setdefault(slot.server, []).append(f"{slot.hook}{' ' if slot.resource else ''}{slot.resource}: {todo.fault}")
        return {
            name: ExtensionReport(faults=tuple(texts[:MOST_FAULTS]), fail_open=clients[name].server.fail_open)
            for name, texts in faults.items()
        }


def failing(every: Iterable[Questions], server: str) -> int:
    """How many questions that server fails to answer."""
    return sum(bool(todo.fault) for each in every for slot, todo in each.todo.items() if slot.server == server)


def without(ask: Ask, last: Last | None, fail_open: bool) -> Answer:
    """What stands in for an answer: nothing changed, or the last good one, or nothing at all."""
    if fail_open:
        return Answer(stands_in=True)
    if last is None or last.failed:
        return Answer(withheld=True, stands_in=True)
    if ask.hook == TRANSLATION:
        return Answer(last.answer.body, withheld=True, stands_in=True)
    return last.answer._replace(stands_in=True)
