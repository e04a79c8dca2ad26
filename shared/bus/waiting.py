"""Waiting for the first of several things, and ending what is not waited for any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

AGAIN = 1.0
"""Seconds after which a task that has not ended is cancelled once more."""


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancels the tasks and waits until they have ended, whatever their outcome.

    Once is not enough: a library may swallow the cancellation that arrives together with what it waits for, as asyncio.wait_for
    itself does before Python 3.12. Such a task would go on, and whoever stops it would wait for ever. Who is cancelled while it ends
    others passes that on, and is cancelled when they have ended.
    """
    pending = {task for task in tasks if not task.done()}
    interrupted: asyncio.CancelledError | None = None
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=AGAIN)
        except asyncio.CancelledError as e:
            interrupted = e
            pending = {task for task in pending if not task.done()}
    for task in tasks:
        # an outcome that nobody looks at is complained about
        _ = task.cancelled() or task.exception()
    if interrupted is not None:
        raise interrupted


async def together(*works: Coroutine[Any, Any, Any]) -> None:
    """Runs the works side by side until one ends or fails (raised here); then all have ended.

    A task group cancels its tasks once, and then waits for one that swallowed it for as long as that likes, whatever is done to it.
    """
    tasks = [asyncio.ensure_future(w) for w in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(*tasks)


async def first_of(*waits: Coroutine[Any, Any, object], timeout: float | None = None) -> None:
    """Waits for one of them (or the time) and cancels the rest."""
    tasks = [asyncio.create_task(w) for w in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Exception):
                task.result()
