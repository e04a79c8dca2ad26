"""Questions to the world outside on the real nats-server: asked once, kept, asked again while nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from services.resource_watcher.facts import answering
from services.resource_watcher.facts.answering import Answering, Unanswered
from shared.bus.connection import Bus
from shared.bus.errors import NoLongerWriter
from shared.bus.table import TableWriter, read_all
from shared.bus.waiting import end
from shared.core.facts import FACTS, WANTS, Answer, Question
from shared.testing.nats import NatsServer
from shared.testing.wait import until
from tests.integration.conftest import Connect

ONE, OTHER = (Question.of("oidc", {"issuer": f"https://{name}"}) for name in ("one", "other"))


class World:
    """Says what `known` holds for an issuer."""

    def __init__(self, **known: str) -> None:
        self.known = known
        self.asked: list[str] = []

    async def answer(self, asked: dict[str, Any], _: object) -> dict[str, Any]:
        name = asked["issuer"].removeprefix("https://")
        self.asked.append(name)
        if name not in self.known:
            raise Unanswered(f"{name} is not there")
        return {"tokenEndpoint": self.known[name]}


@contextlib.asynccontextmanager
async def answers(bus: Bus, epoch: int, world: World) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Answering(bus, epoch, {"oidc": world.answer}).run())
    try:
        yield task
    finally:
        await end(task)


async def told(bus: Bus) -> Mapping[str, Answer]:
    found = await read_all(bus, "FACTS", [f"{FACTS}.>"])
    return {s: msgspec.json.decode(e.value, type=Answer) for s, e in found.items() if not e.deleted}


async def sequence(bus: Bus) -> int:
    return max((e.seq for e in (await read_all(bus, "FACTS", [f"{FACTS}.>"])).values()), default=0)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "SOONEST", 0.05)
    monkeypatch.setattr(answering, "FRESH", 0.1)


async def test_what_is_wanted_is_answered_for_as_long_as_it_is_wanted(connect: Connect) -> None:
    bus, world = await connect(), World(one="https://one/token")
    async with TableWriter(await connect(), WANTS, 1) as wants, answers(bus, 1, world):
        await wants.put({q.subject(WANTS): q.body for q in (ONE, OTHER)})

        async def both() -> bool:
            return (await told(bus)) == {
                ONE.subject(FACTS): Answer(ONE.asked, value={"tokenEndpoint": "https://one/token"}),
                OTHER.subject(FACTS): Answer(OTHER.asked, problem="other is not there"),
            }

        await until(both)
        world.known["other"] = "https://other/token"
        await until(lambda: _value(bus, OTHER, "https://other/token"))
        # who is silent now keeps the last answer; who says another thing is heard
        world.known = {"one": "https://one/new"}
        await until(lambda: _value(bus, ONE, "https://one/new"))
        asked = len(world.asked)
        await until(lambda: "other" in world.asked[asked:])
        assert await _value(bus, OTHER, "https://other/token")
        await wants.put({OTHER.subject(WANTS): None})

        async def one_alone() -> bool:
            return set(await told(bus)) == {ONE.subject(FACTS)}

        await until(one_alone)


async def _value(bus: Bus, question: Question, endpoint: str) -> bool:
    return (await told(bus))[question.subject(FACTS)].value == {"tokenEndpoint": endpoint}


async def test_a_new_term_says_nothing_new_and_forgets_what_nobody_asks_any_more(connect: Connect) -> None:
    bus, world = await connect(), World(one="https://one/token", other="https://other/token")
    async with TableWriter(await connect(), WANTS, 1) as wants:
        await wants.put({q.subject(WANTS): q.body for q in (ONE, OTHER)})
        async with answers(bus, 1, world):
            await until(lambda: _value(bus, OTHER, "https://other/token"))
            await until(lambda: _value(bus, ONE, "https://one/token"))
        before = await sequence(bus)
        world.known, world.asked = {}, []  # and an answer outlives that nobody can be asked
        async with answers(bus, 2, world):
            await until(lambda: {"one", "other"} <= set(world.asked))
            await until(lambda: world.asked.count("one") > 1)
            assert await sequence(bus) == before
        await wants.put({OTHER.subject(WANTS): None})
        async with answers(bus, 3, world):

            async def one_alone() -> bool:
                return set(await told(bus)) == {ONE.subject(FACTS)}

            await until(one_alone)


async def test_what_is_held_for_a_question_is_kept_while_it_is_being_answered(connect: Connect) -> None:
    bus, world, slow = await connect(), World(one="https://one/token"), asyncio.Event()
    kept: list[frozenset[str]] = []

    async def answer(asked: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
        if asked == OTHER.asked:
            await slow.wait()
        return await world.answer(asked, known)

    async def keep(names: frozenset[str]) -> None:
        kept.append(names)

    async with TableWriter(await connect(), WANTS, 1) as wants:
        await wants.put({ONE.subject(WANTS): ONE.body})
        task = asyncio.create_task(Answering(bus, 1, {"oidc": answer}, {"oidc": keep}).run())
        try:
            await until(lambda: _value(bus, ONE, "https://one/token"))
            await wants.put({OTHER.subject(WANTS): OTHER.body, ONE.subject(WANTS): None})
            await until(lambda: kept)
            assert kept == [{OTHER.name}]
        finally:
            await end(task)


async def test_a_server_that_lost_its_disk_is_told_again(connect: Connect, nats_server: NatsServer) -> None:
    bus, world = await connect(), World(one="https://one/token")
    async with TableWriter(await connect(), WANTS, 1) as wants, answers(bus, 1, world):
        await wants.put({ONE.subject(WANTS): ONE.body})
        await until(lambda: _value(bus, ONE, "https://one/token"))
        nats_server.restart(wipe=True)
        await until(lambda: _value(bus, ONE, "https://one/token"), 20)


async def test_a_question_that_nobody_knows_is_a_problem_and_a_later_term_ends_an_older(connect: Connect) -> None:
    bus, world = await connect(), World()
    odd = Question.of("weather", {"at": "noon"})
    async with TableWriter(await connect(), WANTS, 1) as wants, answers(bus, 1, world) as older:
        await wants.put({odd.subject(WANTS): odd.body, f"{WANTS}.oidc.broken": b"not JSON"})

        async def refused() -> bool:
            return "nothing here answers" in (await told(bus))[odd.subject(FACTS)].problem

        await until(refused)
        # what both would say the same is said once, so the newer one has something of its own to say
        async with answers(await connect(), 2, World(one="https://one/token")):
            await wants.put({ONE.subject(WANTS): ONE.body})
            await until(older.done)
            assert isinstance(older.exception(), NoLongerWriter)
