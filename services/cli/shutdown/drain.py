"""Drains the Envoy of this pod through its admin interface."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from services.cli.shutdown import ADMIN, NOTE, POLL_SECONDS

_OWN = re.compile(r"admin|19001|19003|worker")
"""Listeners of the proxy's own: its admin interface, statistics, readiness; and what is counted twice."""
_STATS = r"/stats?filter=^listener\..*\.downstream_cx_active$&format=json"


class Drain(NamedTuple):
    """Seconds, and the number of open connections that is few enough."""

    health_check_failure_delay: float = 0.0
    longest: float = 60.0
    least: float = 10.0
    enough: int = 0


class Step(NamedTuple):
    fail_health_checks: bool
    over: bool


def step(how: Drain, elapsed: float, connections: int | None, failing: bool) -> Step:
    """What is to be done so many seconds after the beginning; `connections` None where Envoy does not say. Pure."""
    few = connections is not None and connections <= how.enough
    over = elapsed > how.longest or (elapsed > how.least and few)
    return Step(not failing and elapsed >= how.health_check_failure_delay, over)


def drain(how: Drain, admin: str = ADMIN, note: Path = NOTE, poll: float = POLL_SECONDS) -> None:
    """Returns when connections are few enough or the time is over; leaves the note."""
    begun = time.monotonic()
    failing = how.health_check_failure_delay <= 0
    say(f"draining for {how.least:.0f} to {how.longest:.0f} seconds")
    # failing health checks begins the drain of the listeners, too
    _post(admin, "/healthcheck/fail" if failing else "/drain_listeners?graceful&skip_exit")
    while True:
        elapsed = time.monotonic() - begun
        connections = open_connections(admin)
        now = step(how, elapsed, connections, failing)
        if now.fail_health_checks:
            _post(admin, "/healthcheck/fail")
            failing = True
        if now.over:
            break
        time.sleep(poll)
    say(f"drained, open connections: {'unknown' if connections is None else connections}")
    note.touch()


def open_connections(admin: str) -> int | None:
    """From clients; None where Envoy does not answer."""
    try:
        with urllib.request.urlopen(admin + _STATS, timeout=2) as answer:
            stats = json.load(answer).get("stats", ())
    except (OSError, ValueError):
        return None
    return sum(s.get("value", 0) for s in stats if not _OWN.search(s.get("name", ""))) if stats else None


def say(text: str) -> None:
    """Into the container's log: the output of a hook goes nowhere."""
    line = f"shutdown: {text}\n"
    if "KUBERNETES_SERVICE_HOST" in os.environ and os.getpid() != 1:
        with contextlib.suppress(OSError), open("/proc/1/fd/1", "a") as log:
            log.write(line)
            return
    sys.stdout.write(line)
    sys.stdout.flush()


def _post(admin: str, path: str) -> None:
    try:
        with urllib.request.urlopen(urllib.request.Request(admin + path, method="POST"), timeout=5):
            pass
    except (urllib.error.HTTPError, OSError) as e:
        say(f"Envoy did not take {path}: {e}")
