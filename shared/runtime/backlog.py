"""The age of the oldest change that a stage has not passed on: a metric, a part of `headgate status`, and of its health."""

from __future__ import annotations

import time
from collections.abc import Callable

STUCK_AFTER = 30.0


class Backlog:
    """`enter` when a change arrives, `leave` when all that arrived up to then was passed on. Seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, stuck_after: float = STUCK_AFTER) -> None:
        self._clock = clock
        self._since: float | None = None
        self.stuck_after = stuck_after
        self.on_leave: Callable[[float], None] = lambda _: None
        """Called with the seconds that the oldest of them waited."""
        self.passed = 0

    def enter(self) -> None:
        if self._since is None:
            self._since = self._clock()

    def leave(self) -> None:
        age = self.age
        self._since = None
        self.passed += 1
        self.on_leave(age)

    @property
    def age(self) -> float:
        """Seconds since the oldest change that waits arrived; 0 when none does."""
        return 0.0 if self._since is None else self._clock() - self._since

    @property
    def stuck(self) -> bool:
        return self.age > self.stuck_after
