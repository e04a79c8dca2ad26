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
    itself does before Python 3.12. Such a task would go on, and whoever stops it would wait for ever.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN)
    for task in tasks:
        # an outcome that nobody looks at is complained about
        _ = task.cancelled() or task.exception()


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
