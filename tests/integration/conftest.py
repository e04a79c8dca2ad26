"""Connections, and pipelines: one shared by a module that only gives it bad input, or a fresh one to be broken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from shared.bus.connection import Bus
from shared.bus.settings import BusSettings
from shared.testing.nats import NatsServer
from tests.integration.pipeline import Pipeline, Traffic, echo

Connect = Callable[[], Awaitable[Bus]]


@pytest.fixture
async def connect(nats_server: NatsServer) -> AsyncIterator[Connect]:
    """Makes connections to the test's nats-server, and closes them."""
    made: list[Bus] = []

    async def make() -> Bus:
        made.append(await asyncio.wait_for(Bus.connect(BusSettings(urls=(nats_server.url,)), service="test"), 10))
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


class Running(NamedTuple):
    """A pipeline whose route `/good` is served by the backend `one`, listening at `port`."""

    p: Pipeline
    port: int


async def started(root: Path) -> AsyncIterator[Running]:
    async with echo("one") as port, Pipeline(root) as p:
        await p.start_with_good(port)
        yield Running(p, port)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async for running in started(tmp_path_factory.mktemp("pipeline")):
        yield running


@pytest_asyncio.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Running]:
    async for running in started(tmp_path):
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def undisturbed(shared: Running) -> AsyncIterator[Running]:
    """The shared pipeline, under requests that must all succeed while the test does its worst."""
    async with Traffic(f"http://127.0.0.1:{shared.p.port}/good") as traffic:
        yield shared
    assert traffic.failures == []
    assert traffic.sent > 0
