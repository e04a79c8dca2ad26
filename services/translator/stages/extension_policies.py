"""Policies of extension servers: what they are attached to, and with what they are handed over.

Unlike Envoy Gateway's own policies they do not stand against each other: whatever names a Gateway, a listener, a route or a rule of it
is handed to its server, oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from services.translator.stages.attach import attachments
from services.translator.stages.gateways import age, members, served
from services.translator.stages.judged import Judged
from services.translator.stages.policies.targets import Scope, labels_of, references, scope_of, selected
from services.translator.stages.proxies import fleet_of
from services.translator.stages.tables import EXTENSIONS, GATEWAYS, ROUTES, settings
from shared.api.extension_object import ExtensionObject
from shared.api.targets import PolicyTargets
from shared.core import names
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db, query
from shared.ir.shards import extension_key
from shared.ir.unstructured import ExtensionShard, Refs, UnstructuredRef

ROUTE_KINDS = ("HTTPRoute", "GRPCRoute")


def _scopes_named(ref: ObjectRef, row: ExtensionObject) -> set[Scope]:
    return {scope_of(ref, t) for t in references(row.spec)}


def _sections_of(ref: ObjectRef, row: ExtensionObject) -> set[ObjectRef]:
    return {s.object for s in _scopes_named(ref, row) if s.section is not None}


NAMING = EXTENSIONS.index("by_target", _scopes_named)
NAMING_SECTIONS = EXTENSIONS.index("by_targets_section", _sections_of)
SELECTING = EXTENSIONS.index("by_selected_kind", lambda _, row: {s.kind for s in row.spec.target_selectors})


@query
def targets_of(db: Db, policy: ObjectRef) -> PolicyTargets:
    """A policy's targets alone, so that who asks for them does not run again when the rest of it changes."""
    row = db.get(EXTENSIONS, policy)
    return row.spec if row is not None else PolicyTargets()


@query
def _created(db: Db, policy: ObjectRef) -> str:
    row = db.get(EXTENSIONS, policy)
    return row.metadata.creation_timestamp if row is not None else ""


def _sorted(db: Db, policies: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    return tuple(sorted(policies, key=lambda p: age(p, _created(db, p))))


def _selecting(db: Db, target: ObjectRef) -> Iterator[ObjectRef]:
    candidates = db.keys(SELECTING, target.kind)
    labels = labels_of(db, target) if candidates else None
    if labels is not None:
        yield from (p for p in candidates if any(selected(db, p, s, target, labels) for s in targets_of(db, p).target_selectors))


def _of_object(db: Db, target: ObjectRef) -> tuple[ObjectRef, ...]:
    """The policies of a whole object, named or selected."""
    return _sorted(db, {*db.keys(NAMING, Scope(target)), *_selecting(db, target)})


def _refs(policies: Iterable[ObjectRef]) -> Refs:
    return tuple(UnstructuredRef(ref=extension_key(p)) for p in dict.fromkeys(policies))


def _any(db: Db) -> bool:
    """Routes are many: where there are no such policies they read nothing."""
    return bool(settings(db).extensions.policies)


def of_listener(db: Db, found: Judged) -> Refs:
    """What is handed over with a listener: its own policies, then its Gateway's."""
    if not _any(db):
        return ()
    own = _sorted(db, db.keys(NAMING, Scope(found.owner, found.spec.name)))
    return _refs((*own, *_of_object(db, found.gateway)))


def of_route(db: Db, route: ObjectRef, rule: str | None) -> Refs:
    """What is handed over with a rule's routes: the rule's own policies, then the whole route's."""
    if not _any(db) or route.kind not in ROUTE_KINDS:
        return ()
    own = _sorted(db, db.keys(NAMING, Scope(route, rule))) if rule else ()
    return _refs((*own, *_of_object(db, route)))


def of_fleet(db: Db, fleet: GatewayRef) -> Refs:
    """What is handed over with a whole fleet: policies of sections of its Gateways, also of such as do not exist, then of Gateways."""
    if not _any(db):
        return ()
    gateways = [g for g in members(db, fleet) if served(db, g)]
    sections = _sorted(db, {p for g in gateways for p in db.keys(NAMING_SECTIONS, g)})
    return _refs((*sections, *_sorted(db, {p for g in gateways for p in _of_object(db, g)})))


def _taken(db: Db, target: ObjectRef) -> dict[ObjectRef, bool]:
    return dict.fromkeys(_selecting(db, target), True) if _any(db) else {}


SELECTED: tuple[Collection[ObjectRef, bool], ...] = (
    Collection("routes_of_extensions", source=ROUTES, fn=_taken),
    Collection("gateways_of_extensions", source=GATEWAYS, fn=_taken),
)
"""Objects by the extension policies whose selectors take them."""


@query
def scopes(db: Db, policy: ObjectRef) -> tuple[Scope, ...]:
    """What a policy is attached to, in the order in which it is looked at: rules, routes, listeners, Gateways."""
    found = [scope_of(policy, r) for r in references(targets_of(db, policy))]
    found += [Scope(t) for each in SELECTED for t in db.group(each, policy)]
    return tuple(sorted(dict.fromkeys(found), key=lambda s: (s.object.kind == "Gateway", s.section is None)))


def extension_shards(db: Db, policy: ObjectRef) -> Mapping[tuple[GatewayRef, str], ExtensionShard]:
    """A policy's object, once for each fleet that it is attached to."""
    row = db.get(EXTENSIONS, policy)
    if row is None:
        return {}
    fleets: dict[GatewayRef, bool] = {}
    for scope in scopes(db, policy):
        if scope.object.kind == "Gateway" and served(db, scope.object):
            fleets[fleet_of(db, scope.object)] = True
        elif scope.object.kind in ROUTE_KINDS:
            fleets |= {each.fleet: True for each in attachments(db, scope.object)}
    return {(fleet, extension_key(policy)): ExtensionShard(object=row.written) for fleet in fleets}


def used_object(db: Db, key: str) -> ExtensionShard | None:
    """The object that a route refers to, by its shard's key."""
    row = db.get(EXTENSIONS, ObjectRef(*map(names.unescape, key.split(".")[1:])))
    return ExtensionShard(object=row.written) if row is not None else None
