"""Go's durations ("1m30s", "250ms"): what the Gateway API writes and what Envoy Gateway's IR shows."""

from __future__ import annotations

import re
from functools import lru_cache

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


@lru_cache(maxsize=1024)
def parse(text: str) -> int:
    """Nanoseconds; ValueError for what Go's ParseDuration refuses."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    at, total = 0, 0.0
    for part in _PART.finditer(rest):
        if part.start() != at:
            break
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not rest or at != len(rest):
        raise ValueError(f"invalid duration {text!r}")
    return sign * round(total)


def show(nanoseconds: int) -> str:
    """As Go's Duration.String writes it: "0s", "250ms", "1m0s", "10m0s", "1h0m0s"."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < 0:
        return "-" + show(-nanoseconds)
    for unit in ("ms", "µs", "ns"):
        if nanoseconds < 1_000_000_000 and nanoseconds >= _UNITS[unit]:
            return _decimal(nanoseconds, _UNITS[unit]) + unit
    hours, rest = divmod(nanoseconds, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    seconds = _decimal(rest, _UNITS["s"]) + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def normal(text: str) -> str:
    """The same duration in Go's own spelling; ValueError as `parse`."""
    return show(parse(text))


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".") if rest else str(whole)
