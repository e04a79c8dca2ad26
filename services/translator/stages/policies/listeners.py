"""Policies for clients: each listener has one at most, which makes another listener of it before it is published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.translator.stages.judged import Judged, judged, judged_listener
from services.translator.stages.listener_ir import AnyListener, listener
from services.translator.stages.policies.built import Built
from services.translator.stages.policies.effect import Laid, attempt, effective
from services.translator.stages.policies.kinds import KINDS
from services.translator.stages.policies.targets import Scope, holder
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, query
from shared.ir.http import HttpListener
from shared.ir.udp import UdpListener

KIND = "ClientTrafficPolicy"


def _scopes(found: Judged) -> tuple[Scope, ...]:
    section = Scope(found.owner, found.spec.name)
    return (section, Scope(found.owner), Scope(found.gateway)) if found.owner != found.gateway else (section, Scope(found.gateway))


def policy_of(db: Db, found: Judged) -> tuple[ObjectRef, Scope] | None:
    """The policy that a listener has, and the scope that gives it."""
    held = ((holder(db, KIND, scope), scope) for scope in _scopes(found))
    return next(((policy, scope) for policy, scope in held if policy is not None), None)


@query
def served(db: Db, fleet: GatewayRef, key: str) -> Built[AnyListener] | None:
    """One listener with what its policy says. Raises Pending while something that either refers to is unknown."""
    plain = listener(db, fleet, key)
    found = judged_listener(db, fleet, key)
    if plain is None or found is None:
        return None
    held = policy_of(db, found)
    apply = KINDS[KIND].apply if KIND in KINDS else None
    if held is None or apply is None or isinstance(plain, UdpListener):
        return Built(plain)
    others = tuple(_others(db, fleet, found, held[1])) if isinstance(plain, HttpListener) else ()
    if others:
        names = ", ".join(others[:10])
        return Built(plain, (f"listeners without TLS share their port's settings, and the policy is not that of {names}",))
    return _applied(db, held[0], plain, apply)


def _applied(db: Db, policy: ObjectRef, plain: AnyListener, apply: Any) -> Built[AnyListener]:
    made = attempt(lambda: apply(db, effective(db, Laid(policy)), plain))
    return made if made.ir is not None else made._replace(ir=plain)


def _others(db: Db, fleet: GatewayRef, found: Judged, scope: Scope) -> Iterator[str]:
    """Plain HTTP listeners of the same port that the policy's scope does not take in."""
    if found.spec.protocol != "HTTP":
        return
    for each in judged(db, fleet):
        if each.ready and each.key != found.key and (each.spec.protocol, each.spec.port) == ("HTTP", found.spec.port):
            inside = scope.section is None and scope.object in (each.owner, each.gateway)
            if not inside:
                yield each.ir_name


def having(db: Db, fleet: GatewayRef, policy: ObjectRef, scope: Scope) -> Iterator[Judged]:
    """The listeners that have a policy by one of its scopes."""
    for each in judged(db, fleet):
        if each.ready and policy_of(db, each) == (policy, scope):
            yield each
