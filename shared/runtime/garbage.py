"""When Python's cycle collector runs: between changes, never within one.

What a service holds are hundreds of thousands of objects without cycles; a collection that walks them in the middle of a translation
costs more than the translation (10,000 routes at a cold start: 4.0 s with it, 1.5 s without).
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time

YOUNG_SECONDS, FULL_SECONDS = 2.0, 30.0
FULL_SHARE = 0.001
"""Of the time, at most so much goes to full collections."""
LOADING_SECONDS = 60.0
"""How long a first load may take before collections begin without it."""

_settled = threading.Event()


def take_over() -> None:
    """No automatic collections in this process any more."""
    gc.collect()
    gc.freeze()
    gc.disable()


def settle_in() -> None:
    """What lives now, lives long: later collections do not walk it. Nor is it swept before: that takes a second where a proxy waits."""
    gc.freeze()
    _settled.set()


async def keep_clean() -> None:
    """Once the service has settled in: collects the young often and everything now and then. Until cancelled."""
    started = time.monotonic()
    full_at = started + FULL_SECONDS
    while True:
        await asyncio.sleep(YOUNG_SECONDS)
        begin = time.monotonic()
        if not _settled.is_set() and begin < started + LOADING_SECONDS:
            continue
        if begin < full_at:
            gc.collect(1)
            continue
        gc.collect()
        now = time.monotonic()
        full_at = now + max(FULL_SECONDS, (now - begin) / FULL_SHARE)
