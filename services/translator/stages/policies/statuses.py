"""What policies are told: for each ancestor of what they target, whether they hold, and who stands before them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from services.translator.stages.attach import Attachment, attachments
from services.translator.stages.conditions import Conditions, plain, sentence
from services.translator.stages.gateways import served
from services.translator.stages.judged import Judged
from services.translator.stages.policies import listeners
from services.translator.stages.policies.built import Built
from services.translator.stages.policies.effect import Laid, built
from services.translator.stages.policies.kinds import KINDS, ROUTE_KINDS, Kind
from services.translator.stages.policies.listeners import Held, forbidden, having
from services.translator.stages.policies.precedence import above
from services.translator.stages.policies.relations import children
from services.translator.stages.policies.targets import Scope, exists, gateway_behind, holder, scopes, targets_of
from services.translator.stages.proxies import fleet_of
from services.translator.stages.statuses import gateway_id, part, rejections
from services.translator.stages.tables import LATE, POLICIES, ROUTES, settings
from shared.api.gateway import GROUP
from shared.api.unknown import unknown_fields
from shared.core.facts import Question
from shared.core.refs import ObjectRef
from shared.features.parts.problem import ACCEPTED
from shared.incremental import Db, Pending
from shared.ir.status import StatusPart


class Ancestor(NamedTuple):
    """Where a policy's effect is seen: a Gateway or ListenerSet, or a listener of it."""

    gateway: ObjectRef
    owner: ObjectRef
    section: str | None = None

    def shown(self) -> dict[str, str]:
        ref = {"group": GROUP, "kind": self.owner.kind, "namespace": self.owner.namespace, "name": self.owner.name}
        return ref | ({"sectionName": self.section} if self.section is not None else {})


class _Told:
    """The conditions under construction; they never leave the query that builds them."""

    def __init__(self, db: Db, policy: ObjectRef, kind: Kind, generation: int) -> None:
        self.db, self.policy, self.kind, self._generation = db, policy, kind, generation
        self.by_ancestor: dict[Ancestor, Conditions] = defaultdict(lambda: Conditions(generation))

    def refuse(self, ancestors: Iterable[Ancestor], reason: str, text: str) -> None:
        for each in ancestors:
            self.by_ancestor[each].set(ACCEPTED, False, reason, text)

    def accept(self, ancestors: Iterable[Ancestor]) -> None:
        for each in ancestors:
            if ACCEPTED not in self.by_ancestor[each]:
                self.by_ancestor[each].set(ACCEPTED, True, "Accepted", "Policy has been accepted.")

    def tell(self, ancestors: Iterable[Ancestor], condition: str, text: str) -> None:
        """A condition whose reason is its own name, where there is something to say."""
        for each in ancestors:
            if text:
                self.by_ancestor[each].set(condition, True, condition, text)

    def warn(self, ancestors: Iterable[Ancestor], reason: str, text: str) -> None:
        for each in ancestors:
            if text:
                conditions = self.by_ancestor[each]
                before = conditions.reason("Warning")
                together = reason if before in (None, reason) else "Warnings"
                texts = (conditions.message("Warning") or "").split("; ")
                conditions.set("Warning", True, together, "; ".join(filter(None, dict.fromkeys((*texts, text)))))

    def judge(self, ancestor: Ancestor, work: Callable[[], Built[Any]]) -> bool:
        """Says what is wrong with the policy at this ancestor; whether nothing is. An unknown object is waited for, but not for long."""
        try:
            made = work()
            problems = made.problems
            for reason, text in made.warnings:
                self.warn([ancestor], reason, text)
        except Pending as e:
            if not isinstance(e.key, ObjectRef | Question) or self.db.get(LATE, e.key) is None:
                raise
            problems = (f"{e.key} is not known yet",)
        if problems:
            self.refuse([ancestor], "Invalid", "\n".join(sentence(p) for p in problems))
        return not problems


def _order(scope: Scope) -> tuple[bool, bool, bool]:
    """What is more specific is looked at first."""
    return (scope.object.kind not in ROUTE_KINDS, scope.section is None, scope.object.kind == "Gateway")


def policy_status(db: Db, policy: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    """A policy's ancestors, a part for each Gateway."""
    row, kind = db.get(POLICIES, policy), KINDS.get(policy.kind)
    if row is None or kind is None:
        return {}
    told = _Told(db, policy, kind, row.metadata.generation)
    for scope in sorted(scopes(db, policy), key=_order):
        if scope.object.kind in kind.routes:
            _of_route(told, scope)
        elif scope.object.kind in ("Gateway", "ListenerSet"):
            _of_listeners(told, scope)
    controller = settings(db).controller_name
    parts: dict[ObjectRef, list[dict[str, Any]]] = defaultdict(list)
    for ancestor, conditions in told.by_ancestor.items():
        if (rejected := rejections(db, fleet_of(db, ancestor.gateway), policy)) is not None:
            conditions.set("Programmed", False, "Invalid", f"Envoy rejected the configuration: {rejected}")
        shown = {"ancestorRef": ancestor.shown(), "controllerName": controller, "conditions": plain(conditions.all())}
        parts[ancestor.gateway].append(shown)
    return {(policy, gateway_id(g)): part(policy, gateway_id(g), row.metadata.generation, {"ancestors": a}) for g, a in parts.items()}


def _fault(told: _Told, scope: Scope) -> tuple[str, str] | None:
    """Reason and message why the policy cannot have this scope."""
    at = scope.object
    if not exists(told.db, scope):
        return "TargetNotFound", f"No section name {scope.section} found for {at.kind} {at.namespace}/{at.name}"
    if holder(told.db, told.policy.kind, scope) != told.policy:
        what = at.kind if scope.section is None else "RouteRule" if at.kind in ROUTE_KINDS else "Listener"
        name = at.name if scope.section is None else f"{at.name}/{scope.section}"
        return "Conflicted", f"Unable to target {what} {name}, another {told.policy.kind} has already attached to it"
    return None


def _of_route(told: _Told, scope: Scope) -> None:
    db = told.db
    found = attachments(db, scope.object)
    ancestors = [_parent(each, scope.object.namespace) for each in found]
    if not ancestors:
        return
    if (fault := _fault(told, scope)) is not None:
        told.refuse(ancestors, *fault)
        return
    if targets_of(db, told.policy).merge_type is None:
        for ancestor in dict.fromkeys(ancestors):
            told.judge(ancestor, lambda at=ancestor: built(db, Laid(told.policy), at.gateway))  # type: ignore[misc]
    else:
        for each in found:
            _merge(told, each)
    told.accept(ancestors)
    _note(told, ancestors)
    if scope.section is None:
        names = sorted(r for r in _rule_names(db, scope.object) if holder(db, told.policy.kind, Scope(scope.object, r)) is not None)
        text = f"This policy is being overridden by other {told.kind.plural} for these route rules: {', '.join(names[:10])}"
        told.tell(ancestors, "Overridden", text if names else "")


def _parent(each: Attachment, namespace: str) -> Ancestor:
    parent = each.parent
    owner = ObjectRef(GROUP, parent.kind or "Gateway", parent.namespace if parent.namespace is not None else namespace, parent.name)
    return Ancestor(each.gateway, owner, parent.section_name)


def _rule_names(db: Db, route: ObjectRef) -> set[str]:
    row = db.get(ROUTES, route)
    return {rule.name for rule in row.spec.rules if rule.name} if row is not None else set()


def _merge(told: _Told, each: Attachment) -> None:
    """A policy that is merged is judged listener by listener: each may have another policy above."""
    for at in each.at:
        ancestor = Ancestor(each.gateway, at.point.owner, at.point.name)
        over = above(told.db, told.policy.kind, at.point.owner, at.point.name, each.gateway)
        laid = Laid(told.policy, over.policy if over is not None else None)
        if told.judge(ancestor, lambda laid=laid: built(told.db, laid, each.gateway)) and over is not None:  # type: ignore[misc]
            told.tell([ancestor], "Merged", f"Merged with policy {over.policy.namespace}/{over.policy.name}")


def _of_listeners(told: _Told, scope: Scope) -> None:
    db = told.db
    gateway = gateway_behind(db, scope.object)
    if gateway.kind != "Gateway" or not served(db, gateway):
        return
    ancestor = Ancestor(gateway, scope.object, scope.section)
    if (fault := _fault(told, scope)) is not None:
        told.refuse([ancestor], *fault)
        return
    if told.kind.apply is not None:
        for each, held in having(db, fleet_of(db, gateway), told.policy, scope):
            told.judge(ancestor, lambda each=each, held=held: _listener(db, each, held))  # type: ignore[misc]
    else:
        told.judge(ancestor, lambda: built(db, Laid(told.policy), gateway))
    told.accept([ancestor])
    _note(told, [ancestor])
    for condition, word, merged in (("Merged", "merged", True), ("Overridden", "overridden", False)):
        others = children(db, told.policy.kind, scope, merged=merged)
        text = f"This policy is being {word} by other {told.kind.plural} for {others}"
        told.tell([ancestor], condition, text if others else "")


def _listener(db: Db, each: Judged, held: Held) -> Built[Any]:
    made = forbidden(held) if held.others else listeners.served(db, fleet_of(db, each.gateway), each.key)
    return made if made is not None else Built(None)


def _note(told: _Told, ancestors: Iterable[Ancestor]) -> None:
    """Warnings: fields that others replace, and fields that nothing here knows."""
    row = told.db.get(POLICIES, told.policy)
    assert row is not None
    old = told.kind.deprecated(row.spec)
    unknown = unknown_fields(row.written, type(row.spec))
    told.warn(ancestors, "UnsupportedField", f"not supported yet, without effect: {', '.join(unknown[:10])}" if unknown else "")
    told.warn(ancestors, "DeprecatedField", "; ".join(f"{field} is deprecated, use {new} instead" for field, new in sorted(old.items())))
