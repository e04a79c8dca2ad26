"""Ending tasks: also those that swallow a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from shared.bus import waiting


async def test_a_task_that_swallows_its_cancellation_is_ended_all_the_same() -> None:
    started = asyncio.Event()
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        swallowed += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await started.wait()
    async with asyncio.timeout(20):
        await waiting.end(task)
    assert task.cancelled()
    assert swallowed == 1


async def test_what_has_ended_already_is_not_waited_for() -> None:
    async def done() -> int:
        return 3

    task = asyncio.create_task(done())
    await task
    await waiting.end(task)
    assert task.result() == 3


async def test_the_failure_of_a_task_is_its_own() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await waiting.end(task)
    with contextlib.suppress(ValueError, asyncio.CancelledError):
        task.result()


async def test_works_side_by_side_are_stopped_whatever_they_swallow() -> None:
    """As infra_manager was not, when it was told to stop at the moment at which NATS came back."""
    swallowed = asyncio.Event()
    ended = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(waiting.together(stubborn(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await waiting.end(task)
    assert swallowed.is_set()
    assert ended.is_set()
    assert task.cancelled()


async def test_of_works_side_by_side_the_first_that_fails_is_heard() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await waiting.together(fails(), asyncio.Event().wait())
