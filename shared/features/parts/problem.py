"""Why something was not translated as written: what ends in a condition of the object that asked for it."""

from __future__ import annotations

import msgspec

ACCEPTED = "Accepted"
RESOLVED_REFS = "ResolvedRefs"
BACKENDS_AVAILABLE = "BackendsAvailable"

UNSUPPORTED_VALUE = "UnsupportedValue"
INCOMPATIBLE_FILTERS = "IncompatibleFilters"


class Problem(msgspec.Struct, frozen=True):
    """`condition` is the type that turns False, `reason` one of Envoy Gateway's, `message` a sentence for a person."""

    condition: str
    reason: str
    message: str


def not_accepted(message: str, reason: str = UNSUPPORTED_VALUE) -> Problem:
    return Problem(ACCEPTED, reason, message)


def unresolved(message: str, reason: str) -> Problem:
    return Problem(RESOLVED_REFS, reason, message)
