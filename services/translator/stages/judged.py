"""Listeners as they will be served: checked one by one, against each other, with their final conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from services.translator.stages import conflicts
from services.translator.stages.certificates import Certificates
from services.translator.stages.frontend import FrontendCa
from services.translator.stages.gateways import gateway_row, members, served
from services.translator.stages.listeners import PROGRAMMED, checked
from services.translator.stages.proxies import fleet_of, merges_gateways
from shared.api.gateway import Listener, RouteGroupKind
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, query
from shared.ir.status import Condition


class Judged(msgspec.Struct, frozen=True):
    """`key` names the listener within its fleet's shards; `ready` listeners become IR."""

    gateway: ObjectRef
    owner: ObjectRef
    key: str
    spec: Listener
    conditions: tuple[Condition, ...]
    supported_kinds: tuple[RouteGroupKind, ...]
    ready: bool
    overlaps: bool
    certificates: Certificates
    frontend: FrontendCa | None

    @property
    def ir_name(self) -> str:
        gateway = f"{self.gateway.namespace}/{self.gateway.name}"
        return f"{gateway}/{_within(self.gateway, self.owner, self.spec.name)}"


@query
def judged(db: Db, fleet: GatewayRef) -> tuple[Judged, ...]:
    """All listeners of a fleet's Gateways, oldest Gateway first, in the order in which they are written."""
    gateways = [g for g in members(db, fleet) if served(db, g)]
    drafts = {g: [conflicts.Draft(c) for c in checked(db, g)] for g in gateways}
    for own in drafts.values():
        conflicts.protocols(own)
    every = [d for own in drafts.values() for d in own]
    is_merged = bool(gateways) and merges_gateways(db, gateway_row(db, gateways[0]).spec.gateway_class_name)
    if is_merged:
        conflicts.protocols(every)
    for own in drafts.values():
        conflicts.hostnames(own)
        conflicts.layer4(own, "TCP")
        conflicts.layer4(own, "UDP")
    if is_merged:
        conflicts.merged(every)
    for draft in every:
        conflicts.finish(draft)
    for group in [every] if is_merged else list(drafts.values()):
        conflicts.tls_overlaps(group)
    return tuple(_distinct([_judged(d, is_merged) for d in every]))


def _judged(draft: conflicts.Draft, is_merged: bool) -> Judged:
    gateway, owner = draft.source.gateway, draft.source.owner
    if draft.is_added:
        draft.conditions.rename("Invalid", "ListenersNotValid")
    name = _within(gateway, owner, draft.spec.name)
    return Judged(
        gateway=gateway,
        owner=owner,
        key=f"{gateway.namespace}/{gateway.name}/{name}" if is_merged else name,
        spec=draft.spec,
        conditions=draft.conditions.all(),
        supported_kinds=draft.source.supported_kinds,
        ready=draft.conditions.status(PROGRAMMED) == "True",
        overlaps=draft.overlaps,
        certificates=draft.source.certificates,
        frontend=draft.source.frontend,
    )


def _distinct(every: list[Judged]) -> Iterator[Judged]:
    """No two keys alike: an API server refuses listeners of one name, a file may hold them."""
    seen: Counter[str] = Counter()
    for each in every:
        seen[each.key] += 1
        yield each if seen[each.key] == 1 else replace(each, key=f"{each.key}+{seen[each.key]}")


def _within(gateway: ObjectRef, owner: ObjectRef, name: str) -> str:
    """A listener's name within its Gateway: a ListenerSet's may have the same section name as another's."""
    return name if owner == gateway else f"{owner.namespace}/{owner.name}/{name}"


@query
def listeners_of(db: Db, gateway: ObjectRef) -> tuple[Judged, ...]:
    """One Gateway's listeners; none where it is not served."""
    if not served(db, gateway):
        return ()
    return tuple(each for each in judged(db, fleet_of(db, gateway)) if each.gateway == gateway)


@query
def judged_listener(db: Db, fleet: GatewayRef, key: str) -> Judged | None:
    """One listener, so that whoever reads it runs again only when this one changes."""
    return next((each for each in judged(db, fleet) if each.key == key), None)
