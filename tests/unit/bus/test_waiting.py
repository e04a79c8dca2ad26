"""Ending tasks: also those that swallow a cancellation."""

from __future__ import annotations

import asyncio
import contextlib

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
