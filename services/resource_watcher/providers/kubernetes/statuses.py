"""Our status beside those of other controllers: lists that Kubernetes takes as wholes are put together here. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHARED = ("parents", "ancestors")
"""Lists of a status in which each controller has entries of its own, under its `controllerName`."""
MOST = {"parents": 32, "ancestors": 16}


def ours(status: Mapping[str, Any] | None, controller: str) -> dict[str, Any] | None:
    """What of a status is ours; None where nothing is."""
    if not status:
        return None
    kept = {field: _split(value, controller)[0] if field in _SHARED else value for field, value in status.items()}
    kept = {field: value for field, value in kept.items() if value not in (None, [], {})}
    return kept or None


def together(own: Mapping[str, Any] | None, now: Mapping[str, Any] | None, controller: str) -> dict[str, Any]:
    """Our status with what others have said, which stays as it is and where it is: before ours."""
    out = dict(own or {})
    for field in _SHARED:
        foreign = _split((now or {}).get(field), controller)[1]
        if foreign:
            out[field] = [*foreign, *out.get(field, [])][: MOST[field]]
    return out


def _split(entries: Any, controller: str) -> tuple[list[Any], list[Any]]:
    found = entries if isinstance(entries, list) else []
    mine = [e for e in found if isinstance(e, dict) and e.get("controllerName") == controller]
    return mine, [e for e in found if e not in mine]
