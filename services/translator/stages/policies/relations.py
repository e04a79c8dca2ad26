"""Which scopes take a policy's say from it, or merge theirs into it: what its Overridden and Merged conditions tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from services.translator.stages.attach import Attachment, attachments
from services.translator.stages.policies.effect import Laid, built
from services.translator.stages.policies.kinds import ROUTE_KINDS
from services.translator.stages.policies.precedence import above
from services.translator.stages.policies.targets import Scope, exists, gateway_behind, holder, scopes, targets_of
from services.translator.stages.tables import POLICIES
from shared.core.refs import ObjectRef
from shared.incremental import Collection, Db, First, Fold, fold


class Relation(NamedTuple):
    """A policy of this kind at `child` stands before the one at `parent`, or is merged over it."""

    kind: str
    parent: Scope
    child: Scope
    merged: bool = False


class Place(NamedTuple):
    kind: str
    parent: Scope
    merged: bool


_NAMED = 10
"""How many scopes a condition names."""


def _related(db: Db, policy: ObjectRef) -> Mapping[Relation, bool]:
    return dict.fromkeys(_relations(db, policy), True)


def _relations(db: Db, policy: ObjectRef) -> Iterator[Relation]:
    for scope in scopes(db, policy):
        if scope.object.kind in ROUTE_KINDS:
            yield from _of_route(db, policy, scope)
        elif exists(db, scope) and holder(db, policy.kind, scope) == policy:
            for parent in _parents(db, scope):
                yield Relation(policy.kind, parent, scope)


def _parents(db: Db, scope: Scope) -> Iterator[Scope]:
    """What a Gateway's or ListenerSet's scope is part of."""
    if scope.section is not None:
        yield Scope(scope.object)
    if scope.object.kind == "ListenerSet":
        yield Scope(gateway_behind(db, scope.object))


def _of_route(db: Db, policy: ObjectRef, scope: Scope) -> Iterator[Relation]:
    if scope.section is not None and holder(db, policy.kind, scope) == policy:
        yield Relation(policy.kind, Scope(scope.object), scope)
    found = attachments(db, scope.object)
    if not found:
        return
    into = set(_merged_into(db, policy, found)) if targets_of(db, policy).merge_type is not None else set()
    route = Scope(scope.object)
    for each in found:
        parent = each.parent
        owner = ObjectRef(each.gateway.group, parent.kind or "Gateway", parent.namespace or scope.object.namespace, parent.name)
        at = Scope(owner, parent.section_name)
        # a route that names no listener stands before the policies of all that it is at
        within = () if at.section is not None else (Scope(p.point.owner, p.point.name) for p in each.at)
        for over in (at, *_parents(db, at), *within):
            if over not in into:
                yield Relation(policy.kind, over, route)
    for over in into:
        yield Relation(policy.kind, over, route, merged=True)


def _merged_into(db: Db, policy: ObjectRef, found: tuple[Attachment, ...]) -> Iterator[Scope]:
    for each in found:
        for at in each.at:
            over = above(db, policy.kind, at.point.owner, at.point.name, each.gateway)
            if over is not None and not built(db, Laid(policy, over.policy), each.gateway).problems:
                yield over.scope


def _placed(_: Db, relation: Relation) -> Mapping[Place, Scope]:
    return {Place(relation.kind, relation.parent, relation.merged): relation.child}


def _by_name(scope: Scope) -> tuple[ObjectRef, str]:
    return scope.object, scope.section or ""


RELATIONS: Collection[Relation, bool] = Collection("policy_relations", source=POLICIES, fn=_related)
CHILDREN: Collection[Place, Scope] = Collection("policy_children", source=RELATIONS, fn=_placed)
FIRST_CHILDREN: Fold[Place, tuple[int, tuple[Scope, ...]]] = fold(
    CHILDREN, "first", First(_NAMED, lambda scope: (scope.object, scope.section or ""))
)


def children(db: Db, kind: str, parent: Scope, *, merged: bool) -> str:
    """The scopes that stand before a scope (or are merged into it), for a sentence; '' for none."""
    count, first = db.fold(FIRST_CHILDREN, Place(kind, parent, merged))
    if not count:
        return ""
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return ", ".join(_shown(scope) for scope in first) + more


def _shown(scope: Scope) -> str:
    at = scope.object
    return f"{at.kind} {at.namespace}/{at.name}" + (f"/{scope.section}" if scope.section is not None else "")
