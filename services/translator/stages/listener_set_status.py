"""A ListenerSet's own status: whether its Gateway takes it, and each of its listeners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.judged import Judged, listeners_of
from services.translator.stages.listener_entries import condition, entry
from services.translator.stages.listener_sets import gateway_of, set_refusal
from services.translator.stages.statuses import gateway_id, part
from services.translator.stages.tables import LISTENER_SETS
from shared.core.refs import ObjectRef
from shared.incremental import Db
from shared.ir.status import StatusPart


def listener_set_status(db: Db, ref: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    row = db.get(LISTENER_SETS, ref)
    gateway = gateway_of(db, ref)
    if row is None or gateway is None:
        return {}
    conditions = Conditions(row.metadata.generation)
    status: dict[str, Any] = {}
    refused = set_refusal(db, ref)
    if refused is not None:
        conditions.set("Accepted", False, refused.reason, refused.message)
        reason = "Programmed" if refused.reason == "ParentNotAccepted" else refused.reason  # as Envoy Gateway says it
        conditions.set("Programmed", False, reason, "Not Programmed")
    else:
        own = [each for each in listeners_of(db, gateway) if each.owner == ref]
        _summed(own, conditions)
        status["listeners"] = [entry(db, each, row.metadata.generation) for each in own]
    status["conditions"] = plain(conditions.all())
    g = gateway_id(gateway)
    return {(ref, g): part(ref, g, row.metadata.generation, status)}


def _summed(own: list[Judged], conditions: Conditions) -> None:
    accepted = [condition(each, "Accepted") == "True" for each in own]
    if all(accepted):
        conditions.set("Accepted", True, "Accepted", "All listeners are accepted")
    else:
        conditions.set(
            "Accepted", any(accepted), "ListenersNotValid", "Some listeners are invalid" if any(accepted) else "No listeners are accepted"
        )
    programmed = [condition(each, "Programmed") == "True" for each in own]
    if all(programmed):
        conditions.set("Programmed", True, "Programmed", "All listeners are programmed")
    elif any(programmed):
        conditions.set("Programmed", True, "Programmed", "Some listeners are not programmed")
    else:
        conditions.set("Programmed", False, "ListenersNotValid", "No listeners are programmed")


def accepted_sets(listeners: Iterable[Judged], sets: Iterable[ObjectRef]) -> int:
    """How many of a Gateway's ListenerSets count as attached: those with a listener that is accepted."""
    by_set: dict[ObjectRef, list[bool]] = {ref: [] for ref in sets}
    for each in listeners:
        if each.owner in by_set:
            by_set[each.owner].append(condition(each, "Accepted") == "True")
    return sum(any(found) or not found for found in by_set.values())
