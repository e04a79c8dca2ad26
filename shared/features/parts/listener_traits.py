"""What some features' configuration on a route depends on, beside the route."""

from __future__ import annotations

from typing import NamedTuple


class ListenerTraits(NamedTuple):
    """`name`: after which counters are named; `tells_limits`: clients are told their rate limits."""

    name: str
    tells_limits: bool
