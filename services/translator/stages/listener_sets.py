"""ListenerSets: which Gateway each adds listeners to, whether that Gateway lets it, and in which order they come."""

from __future__ import annotations

from services.translator.stages.gateways import Refusal, age, ours, refusal
from services.translator.stages.grants import namespace_labels, selector_fault, selects
from services.translator.stages.tables import GATEWAYS, LISTENER_SETS, SETS_BY_GATEWAY, gateway_ref
from shared.api.gateway import GROUP, ListenerNamespaces, ListenerSet
from shared.core.refs import ObjectRef
from shared.incremental import Db, query


def set_row(db: Db, ref: ObjectRef) -> ListenerSet:
    row = db.get(LISTENER_SETS, ref)
    assert row is not None, f"{ref} is attached to a Gateway"
    return row


@query
def gateway_of(db: Db, ref: ObjectRef) -> ObjectRef | None:
    """The Gateway of ours that a ListenerSet names; None for a parent of another kind or controller."""
    row = db.get(LISTENER_SETS, ref)
    if row is None or row.spec.parent_ref.group not in (None, GROUP) or row.spec.parent_ref.kind not in (None, "Gateway"):
        return None
    parent = row.spec.parent_ref
    gateway = gateway_ref(parent.namespace if parent.namespace is not None else ref.namespace, parent.name)
    return gateway if ours(db, gateway) else None


def _allowed(db: Db, spec: ListenerNamespaces, own: str, namespace: str) -> bool:
    if spec.from_ == "Selector":
        return spec.selector is not None and not selector_fault(spec.selector) and selects(spec.selector, namespace_labels(db, namespace))
    return spec.from_ == "All" or (spec.from_ == "Same" and own == namespace)


@query
def set_refusal(db: Db, ref: ObjectRef) -> Refusal | None:
    """Why a ListenerSet may not attach to its Gateway; `gateway_of` has found one."""
    gateway = gateway_of(db, ref)
    row = db.get(GATEWAYS, gateway) if gateway is not None else None
    assert gateway is not None
    assert row is not None
    if refusal(db, gateway) is not None:
        return Refusal("ParentNotAccepted", f"Parent Gateway {gateway.namespace}/{gateway.name} not accepted")
    if _allowed(db, row.spec.allowed_listeners.namespaces, gateway.namespace, ref.namespace):
        return None
    text = f"ListenerSet attachment from namespace {ref.namespace} not allowed by Gateway {gateway.namespace}/{gateway.name}"
    return Refusal("NotAllowed", text)


@query
def sets_of(db: Db, gateway: ObjectRef) -> tuple[ObjectRef, ...]:
    """The ListenerSets attached to a Gateway, oldest first: that is their precedence."""
    named = [ref for ref in db.keys(SETS_BY_GATEWAY, gateway) if gateway_of(db, ref) == gateway and set_refusal(db, ref) is None]
    return tuple(sorted(named, key=lambda ref: age(ref, set_row(db, ref).metadata.creation_timestamp)))
