"""Which routes attach to which listeners, under which names; what a route may not do is said per parent."""

from __future__ import annotations

import msgspec

from services.translator.stages.grants import namespace_labels, selector_fault, selects
from services.translator.stages.hosts import effective_hosts
from services.translator.stages.listener_sets import gateway_of
from services.translator.stages.tables import ROUTES
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


def _allows_namespace(db: Db, point: AttachPoint, namespace: str) -> bool:
    spec = point.namespaces
    if spec.from_ == "All":
        return True
    if spec.from_ == "Selector":
        return spec.selector is not None and not selector_fault(spec.selector) and selects(spec.selector, namespace_labels(db, namespace))
    return point.owner.namespace == namespace


def _owner(parent: ParentReference, namespace: str) -> ObjectRef | None:
    """The Gateway or ListenerSet that an object in `namespace` names; None for another kind of parent."""
    kind = parent.kind if parent.kind is not None else "Gateway"
    if parent.group not in (None, GROUP) or kind not in ("Gateway", "ListenerSet"):
        return None
    return ObjectRef(GROUP, kind, parent.namespace if parent.namespace is not None else namespace, parent.name)


def parent_gateway(db: Db, parent: ParentReference, namespace: str) -> ObjectRef | None:
    """The Gateway that an object in `namespace` names, if only by its ListenerSet; None for another kind of parent."""
    owner = _owner(parent, namespace)
    return gateway_of(db, owner) if owner is not None and owner.kind == "ListenerSet" else owner


@query
def attachments(db: Db, route: ObjectRef) -> tuple[Attachment, ...]:
    """A route's parents among our Gateways, in the order in which it names them."""
    row = db.get(ROUTES, route)
    if row is None:
        return ()
    found = []
    for parent in row.spec.parent_refs:
        owner = _owner(parent, route.namespace)
        gateway = parent_gateway(db, parent, route.namespace)
        seen = view(db, gateway) if gateway is not None else None
        if owner is None or gateway is None or seen is None:
            continue
        own = [p for p in seen.points if p.owner == owner]
        if own or owner == gateway:
            found.append(_attach(db, route, row.spec.hostnames, parent, own, gateway, seen))
    return tuple(found)


def _attach(
    db: Db,
    route: ObjectRef,
    hostnames: tuple[str, ...],
    parent: ParentReference,
    own: list[AttachPoint],
    gateway: ObjectRef,
    seen: GatewayView,
) -> Attachment:
    fleet, points = seen.fleet, seen.points
    selected = [p for p in own if parent.section_name in (None, p.name) and parent.port in (None, p.port)]
    if not selected:
        return Attachment(parent, gateway, fleet, problem=not_accepted("No listeners match this parent ref", "NoMatchingParent"))
    allowed = [p for p in selected if route.kind in p.kinds and _allows_namespace(db, p, route.namespace)]
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
