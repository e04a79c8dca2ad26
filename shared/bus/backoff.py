"""One way to wait before trying again: exponential with full jitter, so that many clients of one NATS do not come back in step."""

from __future__ import annotations

import random


class Backoff:
    """`next()` is the seconds to wait now; `reset()` after a success."""

    def __init__(self, first: float = 0.05, most: float = 3.0) -> None:
        self._first, self._most, self._now = first, most, first

    def next(self) -> float:
        wait = self._now * random.uniform(0.5, 1.0)
        self._now = min(self._now * 2, self._most)
        return wait

    def reset(self) -> None:
        self._now = self._first
