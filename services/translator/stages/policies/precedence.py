"""Which policies have a say in a route at a listener, and in which order: the most specific first."""

from __future__ import annotations

from typing import NamedTuple

from services.translator.stages.policies.effect import Laid, built
from services.translator.stages.policies.kinds import FOR_ROUTES
from services.translator.stages.policies.targets import Scope, holder, targets_of
from shared.core.refs import ObjectRef
from shared.incremental import Db, query
from shared.ir.policy import Policies


class Above(NamedTuple):
    """A policy, and the scope that it holds."""

    policy: ObjectRef
    scope: Scope


@query
def held(db: Db, kind: str, owner: ObjectRef, section: str, gateway: ObjectRef) -> tuple[Above, ...]:
    """The policies of a kind that a listener has, of itself or of what it belongs to.

    One that a ListenerSet adds has nothing to do with the Gateway's listener of the same name.
    """
    scopes = (Scope(owner, section), Scope(owner), Scope(gateway)) if owner != gateway else (Scope(owner, section), Scope(gateway))
    found = ((holder(db, kind, scope), scope) for scope in scopes)
    return tuple(Above(p, scope) for p, scope in found if p is not None and counts(db, Laid(p), gateway))


def above(db: Db, kind: str, owner: ObjectRef, section: str, gateway: ObjectRef) -> Above | None:
    """The closest policy over the routes of a listener."""
    return next(iter(held(db, kind, owner, section, gateway)), None)


@query
def counts(db: Db, laid: Laid, gateway: ObjectRef) -> bool:
    """Whether a policy has a say at all; one that is void leaves it to those above."""
    made = built(db, laid, gateway)
    return not (made.problems and made.failing == "void")


def laid(db: Db, policy: ObjectRef, owner: ObjectRef, section: str, gateway: ObjectRef) -> Laid:
    """A route's policy as it takes effect at one listener: merged over the closest policy above it, where it wants that."""
    if targets_of(db, policy).merge_type is None:
        return Laid(policy)
    over = above(db, policy.kind, owner, section, gateway)
    return Laid(policy, over.policy) if over is not None else Laid(policy)


def route_policies(
    db: Db, kind: str, route: ObjectRef, rule: str | None, owner: ObjectRef, section: str, gateway: ObjectRef
) -> tuple[Laid, ...]:
    """The policies of a kind that a rule of a route has for itself, at one listener."""
    if route.kind not in FOR_ROUTES[kind].routes:
        return ()
    scopes = (Scope(route, rule), Scope(route)) if rule else (Scope(route),)
    own = (holder(db, kind, scope) for scope in scopes)
    every = (laid(db, p, owner, section, gateway) for p in own if p is not None)
    return tuple(each for each in every if counts(db, each, gateway))


def at_listener(db: Db, owner: ObjectRef, section: str, gateway: ObjectRef) -> Policies | None:
    """What a listener names: the policies of all its routes that have none of their own."""
    keys = {k.field: tuple(Laid(each.policy).key for each in held(db, name, owner, section, gateway)) for name, k in FOR_ROUTES.items()}
    return Policies(**keys) if any(keys.values()) else None


def at_route(db: Db, route: ObjectRef, rule: str | None, owner: ObjectRef, section: str, gateway: ObjectRef) -> Policies | None:
    """What a rule's routes name."""
    found = {kind.field: route_policies(db, name, route, rule, owner, section, gateway) for name, kind in FOR_ROUTES.items()}
    return Policies(**{field: tuple(each.key for each in own) for field, own in found.items()}) if any(found.values()) else None
