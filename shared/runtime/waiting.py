"""Waiting for work without missing the stop signal."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from shared.bus.waiting import end, together

T = TypeVar("T")


class Stopped(Exception):
    """The process was asked to stop while it waited."""


async def or_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; if `stop` comes first, the work is cancelled and Stopped raised."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Stopped
        return task.result()
    finally:
        await end(task, waiter)


async def all_or_stopped(stop: asyncio.Event, *works: Coroutine[Any, Any, Any]) -> None:
    """Runs the works side by side until one ends, one fails (raised here) or `stop` comes; the others are cancelled."""
    await together(stop.wait(), *works)
