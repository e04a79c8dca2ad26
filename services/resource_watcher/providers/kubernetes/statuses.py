"""Our status beside those of other controllers: lists that Kubernetes takes as wholes are put together here. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHARED = {"parents": "parentRef", "ancestors": "ancestorRef"}
"""Lists of a status in which each controller has entries of its own, under its `controllerName`, and what tells an entry."""
MOST = {"parents": 32, "ancestors": 16}


def ours(status: Mapping[str, Any] | None, controller: str) -> dict[str, Any] | None:
    """What of a status is ours; None where nothing is."""
    if not status:
        return None
    kept = {field: [e for e in value or () if _is_ours(e, controller)] if field in _SHARED else value for field, value in status.items()}
    kept = {field: value for field, value in kept.items() if value not in (None, [], {})}
    return kept or None


def together(own: Mapping[str, Any] | None, now: Mapping[str, Any] | None, controller: str) -> dict[str, Any]:
    """Our status with what others have said, which stays as it is and where it is: nobody's writing moves another's entries.

    Of a status that had something in it some list always stays, if an empty one: a server refuses a status that is gone altogether.
    """
    out = dict(own or {})
    for field, about in _SHARED.items():
        mine = {_place(e, about): e for e in out.get(field) or ()}
        entries = []
        for entry in (now or {}).get(field) or ():
            if not _is_ours(entry, controller):
                entries.append(entry)
            elif (place := _place(entry, about)) in mine:
                entries.append(mine.pop(place))
        entries += mine.values()
        if entries or field in (now or {}):
            out[field] = entries[: MOST[field]]
    return out or {field: [] for field in ("conditions",) if field in (now or {})}


def _is_ours(entry: Any, controller: str) -> bool:
    return isinstance(entry, dict) and entry.get("controllerName") == controller


def _place(entry: Mapping[str, Any], about: str) -> str:
    """What an entry is about, with what a server fills in."""
    return repr(sorted({"group": "gateway.networking.k8s.io", "kind": "Gateway", **(entry.get(about) or {})}.items()))


def holds(now: Any, wanted: Any) -> bool:
    """Whether a status says all that we want of it; others may say more. Lists of conditions and listeners are maps by type and name."""
    if isinstance(wanted, dict):
        return isinstance(now, dict) and all(holds(now.get(field), value) for field, value in wanted.items())
    if not isinstance(wanted, list):
        return bool(now == wanted)
    if not (key := _key(wanted)):
        return isinstance(now, list) and len(now) == len(wanted) and all(map(holds, now, wanted))
    found = {item.get(key): item for item in now or () if isinstance(item, dict)}
    return all(holds(found.get(item[key]), item) for item in wanted)


def _key(items: list[Any]) -> str:
    """The field by which a server merges the items of a list; '' for a list that it takes as a whole."""
    return next((k for k in ("type", "name") if items and all(isinstance(i, dict) and k in i and "value" not in i for i in items)), "")
