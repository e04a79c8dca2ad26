"""Exit codes, so that scripts can tell outcomes apart."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
"""Wrong arguments or a wrong configuration: nothing was started."""
UNREACHABLE = 3
"""NATS, or what was asked about, cannot be reached."""
UNHEALTHY = 4
"""`status`: something is not ready, stuck or rejected. `diff`: does not use it."""
