"""Waiting in tests: for a condition, with a deadline, never for a guessed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], deadline: float = 10.0, every: float = 0.02) -> Any:
    """Polls until the condition is true and returns its value; AssertionError after `deadline` seconds. An exception of the condition
    counts as false, and the last one is the error's cause."""
    end = time.monotonic() + deadline
    error: Exception | None = None
    value: object = None
    while True:
        try:
            answer = condition()
            value = await answer if inspect.isawaitable(answer) else answer
            error = None
            if value:
                return value
        except Exception as e:
            error = e
        if time.monotonic() > end:
            raise AssertionError(f"not true within {deadline} s; last value: {value!r}") from error
        await asyncio.sleep(every)
