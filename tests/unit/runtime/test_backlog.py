"""The age of the oldest change that a stage has not passed on."""

from __future__ import annotations

from shared.runtime.backlog import Backlog


def test_age_counts_from_the_oldest_change_that_waits() -> None:
    now = 100.0
    backlog = Backlog(clock=lambda: now, stuck_after=30)
    assert backlog.age == 0
    backlog.enter()
    now = 110.0
    backlog.enter()
    assert backlog.age == 10
    now = 131.0
    assert backlog.stuck
    backlog.leave()
    assert backlog.age == 0
    assert not backlog.stuck
