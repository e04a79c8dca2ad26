"""Which routes attach to which listeners, under which names; what a route may not do is said per parent."""

from __future__ import annotations

import msgspec

from services.translator.stages.grants import namespace_labels, selector_fault, selects
from services.translator.stages.hosts import effective_hosts
from services.translator.stages.tables import ROUTES, gateway_ref
from services.translator.stages.views import AttachPoint, GatewayView, view
from shared.api.gateway import GROUP, ParentReference
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.parts.problem import Problem, not_accepted
from shared.incremental import Db, query


class At(msgspec.Struct, frozen=True):
    """A listener that a route is attached to, and the names it serves there (none: no name in common)."""

    point: AttachPoint
    hosts: tuple[str, ...]


class Attachment(msgspec.Struct, frozen=True):
    """One of a route's parents that is a Gateway of ours."""

    parent: ParentReference
    gateway: ObjectRef
    fleet: GatewayRef
    at: tuple[At, ...] = ()
    problem: Problem | None = None


def _allows_namespace(db: Db, point: AttachPoint, gateway: ObjectRef, namespace: str) -> bool:
    spec = point.namespaces
    if spec.from_ == "All":
        return True
    if spec.from_ == "Selector":
        return spec.selector is not None and not selector_fault(spec.selector) and selects(spec.selector, namespace_labels(db, namespace))
    return gateway.namespace == namespace


def parent_gateway(parent: ParentReference, namespace: str) -> ObjectRef | None:
    """The Gateway that a route in `namespace` names; None for another kind of parent."""
    if parent.group not in (None, GROUP) or parent.kind not in (None, "Gateway"):
        return None
    return gateway_ref(parent.namespace if parent.namespace is not None else namespace, parent.name)


@query
def attachments(db: Db, route: ObjectRef) -> tuple[Attachment, ...]:
    """A route's parents among our Gateways, in the order in which it names them."""
    row = db.get(ROUTES, route)
    if row is None:
        return ()
    found = []
    for parent in row.spec.parent_refs:
        gateway = parent_gateway(parent, route.namespace)
        seen = view(db, gateway) if gateway is not None else None
        if gateway is not None and seen is not None:
            found.append(_attach(db, route, row.spec.hostnames, parent, gateway, seen))
    return tuple(found)


def _attach(
    db: Db, route: ObjectRef, hostnames: tuple[str, ...], parent: ParentReference, gateway: ObjectRef, seen: GatewayView
) -> Attachment:
    fleet, points = seen.fleet, seen.points
    selected = [p for p in points if parent.section_name in (None, p.name) and parent.port in (None, p.port)]
    if not selected:
        return Attachment(parent, gateway, fleet, problem=not_accepted("No listeners match this parent ref", "NoMatchingParent"))
    allowed = [p for p in selected if route.kind in p.kinds and _allows_namespace(db, p, gateway, route.namespace)]
    if not allowed:
        text = "No listeners included by this parent ref allowed this attachment."
        return Attachment(parent, gateway, fleet, problem=not_accepted(text, "NotAllowedByListeners"))
    at = tuple(
        At(p, effective_hosts(hostnames, p.hostname, (o.hostname for o in points if o.port == p.port and o is not p))) for p in allowed
    )
    if any(a.hosts for a in at):
        return Attachment(parent, gateway, fleet, at)
    text = f"There were no hostname intersections between the {route.kind} and this parent ref's Listener(s)."
    return Attachment(parent, gateway, fleet, at, not_accepted(text, "NoMatchingListenerHostname"))
