"""One object's status from its Gateways' parts, with transition times. Pure.

Every Gateway's part holds only that Gateway's parents, ancestors or listeners; times are set here alone, so that nothing upstream
changes when only a clock did.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LISTS = {"parents": "parentRef", "ancestors": "ancestorRef", "listeners": "name"}
"""Lists that parts add to, and what identifies an entry."""

MOST_ANCESTORS = 16
_AGGREGATED = {
    "type": "Aggregated",
    "status": "True",
    "reason": "Aggregated",
    "message": f"There are more than {MOST_ANCESTORS} ancestors; the others are left out.",
}


def merge(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The parts by Gateway, joined in the Gateways' order; of plain fields the last Gateway's stands."""
    out: dict[str, Any] = {}
    for _, part in sorted(parts.items()):
        for field, value in part.items():
            if field in _LISTS and isinstance(value, list):
                out.setdefault(field, []).extend(value)
            else:
                out[field] = value
    return bounded(out)


def bounded(status: dict[str, Any]) -> dict[str, Any]:
    """The API takes 16 ancestors: bad news stays before good news, and the last one says that there are more."""
    ancestors = status.get("ancestors", ())
    if len(ancestors) <= MOST_ANCESTORS:
        return status
    *kept, last = sorted(ancestors, key=_urgency)[:MOST_ANCESTORS]
    conditions = [c for c in last.get("conditions", ()) if c.get("type") != _AGGREGATED["type"]]
    seen = next(({"observedGeneration": c["observedGeneration"]} for c in conditions if "observedGeneration" in c), {})
    return {**status, "ancestors": [*kept, {**last, "conditions": [*conditions, {**_AGGREGATED, **seen}]}]}


def _urgency(ancestor: Mapping[str, Any]) -> tuple[int, str, str]:
    found = {(c.get("type"), c.get("status")) for c in ancestor.get("conditions", ())}
    rank = 0 if ("Accepted", "False") in found else 1 if ("Overridden", "True") in found else 2
    ref = ancestor.get("ancestorRef", {})
    return rank, ref.get("namespace") or "", ref.get("name") or ""


def stamp(status: Mapping[str, Any], before: Mapping[str, Any] | None, now: str) -> dict[str, Any]:
    """The status with lastTransitionTime in each condition: the former time where the condition's status is the same, else `now`."""
    old = before or {}
    out: dict[str, Any] = {}
    for field, value in status.items():
        if field == "conditions":
            out[field] = _stamp_conditions(value, old.get(field), now)
        elif field in _LISTS:
            earlier = {repr(e.get(_LISTS[field])): e for e in old.get(field) or ()}
            out[field] = [stamp(e, earlier.get(repr(e.get(_LISTS[field]))), now) for e in value]
        else:
            out[field] = value
    return out


def _stamp_conditions(conditions: Any, before: Any, now: str) -> list[dict[str, Any]]:
    old = {c.get("type"): c for c in before or ()}
    out = []
    for condition in conditions:
        same: Mapping[str, Any] = old.get(condition["type"]) or {}
        kept = same.get("status") == condition.get("status")
        out.append({**condition, "lastTransitionTime": (kept and same.get("lastTransitionTime")) or now})
    return out
