"""Which policies speak for an object or a section of it, and which of several has the word: the oldest.

What is asked of every route is no query: 10,000 routes without policies would remember 10,000 times that there is none. They record
the memberships that they read, which is enough to be asked again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from services.translator.stages.gateways import Age, age
from services.translator.stages.grants import namespace_labels, permitted, selector_fault, selects
from services.translator.stages.listener_sets import gateway_of
from services.translator.stages.tables import GATEWAYS, LISTENER_SETS, NAMESPACES, POLICIES, ROUTES, core_ref
from shared.api.routes import RouteRule
from shared.api.targets import PolicyObject, PolicyTargetReference, PolicyTargets, TargetSelector
from shared.core.refs import ObjectRef
from shared.incremental import Collection, Db, Table, query


class Scope(NamedTuple):
    """What a policy can be attached to: an object, or a section of it (a listener, a named rule)."""

    object: ObjectRef
    section: str | None = None


class Claim(NamedTuple):
    """A policy's wish for a scope."""

    age: Age
    policy: ObjectRef


def references(spec: PolicyTargets) -> tuple[PolicyTargetReference, ...]:
    """The targets that a policy names one by one."""
    return (spec.target_ref,) if spec.target_ref is not None else spec.target_refs


def scope_of(policy: ObjectRef, ref: PolicyTargetReference) -> Scope:
    return Scope(ObjectRef(ref.group, ref.kind, policy.namespace, ref.name), ref.section_name)


@query
def targets_of(db: Db, policy: ObjectRef) -> PolicyTargets:
    """A policy's targets alone, so that who asks for them does not run again when the rest of it changes."""
    row = db.get(POLICIES, policy)
    if row is None:
        return PolicyTargets()
    spec = row.spec
    return PolicyTargets(
        target_ref=spec.target_ref, target_refs=spec.target_refs, target_selectors=spec.target_selectors, merge_type=spec.merge_type
    )


@query
def created(db: Db, policy: ObjectRef) -> str:
    row = db.get(POLICIES, policy)
    return row.metadata.creation_timestamp if row is not None else ""


def _named(ref: ObjectRef, row: PolicyObject) -> set[tuple[str, Scope]]:
    return {(ref.kind, scope_of(ref, t)) for t in references(row.spec)}


def _selecting(ref: ObjectRef, row: PolicyObject) -> set[tuple[str, str]]:
    return {(ref.kind, s.kind) for s in row.spec.target_selectors}


NAMING = POLICIES.index("by_target", _named)
SELECTING = POLICIES.index("by_selected_kind", _selecting)

_TABLES: dict[str, Table[ObjectRef, Any]] = {"Gateway": GATEWAYS, "ListenerSet": LISTENER_SETS}


def _target_table(kind: str) -> Table[ObjectRef, Any]:
    return _TABLES.get(kind, ROUTES)


def labels_of(db: Db, target: ObjectRef) -> dict[str, str] | None:
    row = db.get(_target_table(target.kind), target)
    return row.metadata.labels if row is not None else None


def _in_namespaces(db: Db, selector: TargetSelector, own: str, namespace: str) -> bool:
    where = selector.namespaces
    if where is None or where.from_ in ("", "Same"):
        return own == namespace
    if where.from_ == "All":
        return True
    if where.from_ != "Selector" or where.selector is None or selector_fault(where.selector):
        return False
    known = db.get(NAMESPACES, core_ref("Namespace", "", namespace)) is not None
    return known and selects(where.selector, namespace_labels(db, namespace))


def selected(db: Db, policy: ObjectRef, selector: TargetSelector, target: ObjectRef, labels: dict[str, str]) -> bool:
    """Whether a policy's selector takes an object with those labels."""
    return (
        (selector.group, selector.kind) == (target.group, target.kind)
        and not selector_fault(selector)
        and selects(selector, labels)
        and _in_namespaces(db, selector, policy.namespace, target.namespace)
        and permitted(db, policy.group, policy.kind, policy.namespace, target)
    )


def selecting(db: Db, kind: str, target: ObjectRef) -> tuple[ObjectRef, ...]:
    """The policies of a kind whose selectors take an object."""
    candidates = db.keys(SELECTING, (kind, target.kind))
    labels = labels_of(db, target) if candidates else None
    if labels is None:
        return ()
    return tuple(p for p in candidates if any(selected(db, p, s, target, labels) for s in targets_of(db, p).target_selectors))


def claims(db: Db, kind: str, scope: Scope) -> tuple[Claim, ...]:
    """The policies of a kind that want a scope, oldest first."""
    named = set(db.keys(NAMING, (kind, scope)))
    if scope.section is None:
        named |= set(selecting(db, kind, scope.object))
    return tuple(sorted(Claim(age(p, created(db, p)), p) for p in named))


def exists(db: Db, scope: Scope) -> bool:
    """Whether a scope's section is there. Whether its object is, is for who attaches to it."""
    if scope.section is None:
        return True
    row = db.get(_target_table(scope.object.kind), scope.object)
    if row is None:
        return False
    if scope.object.kind in _TABLES:
        return any(each.name == scope.section for each in row.spec.listeners)
    rules: tuple[RouteRule, ...] = row.spec.rules
    return any(each.name == scope.section for each in rules)


def holder(db: Db, kind: str, scope: Scope) -> ObjectRef | None:
    """The policy of a kind that a scope has: the oldest of those that want it. None where there is none, or no such section."""
    wanted = claims(db, kind, scope)
    return wanted[0].policy if wanted and exists(db, scope) else None


def _takes(kinds: tuple[str, ...]) -> Any:
    def taken(db: Db, target: ObjectRef) -> dict[ObjectRef, bool]:
        return {p: True for kind in kinds for p in selecting(db, kind, target)}

    return taken


SELECTABLE = ("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy")
SELECTED: tuple[Collection[ObjectRef, bool], ...] = (
    Collection("selected_routes", source=ROUTES, fn=_takes(SELECTABLE)),
    Collection("selected_listener_sets", source=LISTENER_SETS, fn=_takes(SELECTABLE)),
    Collection("selected_gateways", source=GATEWAYS, fn=_takes(SELECTABLE)),
)
"""Objects by the policies whose selectors take them."""


@query
def scopes(db: Db, policy: ObjectRef) -> tuple[Scope, ...]:
    """Everything that a policy wants: what its selectors take, oldest first, then what it names."""
    taken = [t for each in SELECTED for t in db.group(each, policy)]
    ages = {t: row.metadata.creation_timestamp for t in taken if (row := db.get(_target_table(t.kind), t)) is not None}
    found = [Scope(t) for t in sorted(taken, key=lambda t: age(t, ages.get(t, "")))]
    found += [scope_of(policy, r) for r in references(targets_of(db, policy))]
    return tuple(dict.fromkeys(found))


def gateway_behind(db: Db, target: ObjectRef) -> ObjectRef:
    """The Gateway of a Gateway or ListenerSet scope."""
    found = gateway_of(db, target) if target.kind == "ListenerSet" else target
    return found if found is not None else target
