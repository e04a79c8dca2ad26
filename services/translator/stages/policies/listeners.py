"""Policies for clients: each listener has one at most, which makes another listener of it before it is published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from services.translator.stages.attach import attachments
from services.translator.stages.judged import Judged, judged, judged_listener
from services.translator.stages.listener_ir import AnyListener, listener
from services.translator.stages.policies import client
from services.translator.stages.policies.built import Built
from services.translator.stages.policies.effect import Laid, attempt, effective
from services.translator.stages.policies.kinds import KINDS
from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.routes import ATTACHED
from services.translator.stages.tables import POLICIES
from shared.api.client_policy import ClientTrafficPolicy
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.client.http3.ir import Http3
from shared.incremental import Db, query
from shared.ir.udp import UdpListener

KIND = "ClientTrafficPolicy"


def _scopes(found: Judged) -> tuple[Scope, ...]:
    section = Scope(found.owner, found.spec.name)
    return (section, Scope(found.owner), Scope(found.gateway)) if found.owner != found.gateway else (section, Scope(found.gateway))


class Held(NamedTuple):
    """A policy that a listener may have, and the scope that gives it; `others`: plain listeners of the port that the scope leaves out."""

    policy: ObjectRef
    scope: Scope
    others: tuple[str, ...] = ()


@query
def policies_of(db: Db, fleet: GatewayRef, key: str) -> tuple[Held, ...]:
    """The policies that come into question for a listener; the last one has the word.

    One for a whole ListenerSet that the port forbids leaves its place to the Gateway's; any other keeps it, to no effect.
    """
    found = judged_listener(db, fleet, key)
    held: list[Held] = []
    for scope in _scopes(found) if found is not None else ():
        policy = holder(db, KIND, scope)
        if policy is None or found is None:
            continue
        held.append(Held(policy, scope, tuple(_others(db, fleet, found, scope))))
        if not held[-1].others or scope.section is not None:
            break
    return tuple(held)


def policy_of(db: Db, fleet: GatewayRef, key: str) -> Held | None:
    """The policy that has the word."""
    return next(iter(policies_of(db, fleet, key)[-1:]), None)


def forbidden(held: Held) -> Built[Any]:
    """What is said of a policy that the other listeners of a port do not share."""
    text = f"listeners without TLS share their port's settings, and the policy is not that of {', '.join(held.others[:10])}"
    return Built(None, (text,))


@query
def served(db: Db, fleet: GatewayRef, key: str) -> Built[AnyListener] | None:
    """One listener with what its policy says. Raises Pending while something that either refers to is unknown."""
    plain = listener(db, fleet, key)
    found = judged_listener(db, fleet, key)
    if plain is None or found is None:
        return None
    held = policy_of(db, fleet, key)
    apply = KINDS[KIND].apply if KIND in KINDS else None
    if held is None or apply is None or isinstance(plain, UdpListener):
        return Built(plain)
    if held.others:
        return forbidden(held)._replace(ir=plain)
    made = attempt(lambda: apply(db, effective(db, Laid(held.policy)), plain, lambda: _hosts(db, found)))
    if made.ir is None:
        return made._replace(ir=plain)
    return made._replace(ir=replace(made.ir, client_policy=f"{held.policy.namespace}/{held.policy.name}"))


def _hosts(db: Db, found: Judged) -> list[str]:
    """The hostnames of a listener's routes."""
    routes = db.group(ATTACHED, (found.gateway, found.key))
    points = (at for route in routes for each in attachments(db, route) if each.gateway == found.gateway for at in each.at)
    return list(dict.fromkeys(host for at in points if at.point.key == found.key for host in at.hosts))


@query
def speaks_http3(db: Db, fleet: GatewayRef, key: str) -> Http3 | None:
    """What infrastructure must know: whether a listener is reached over UDP, too."""
    found, held = judged_listener(db, fleet, key), policy_of(db, fleet, key)
    if found is None or held is None or found.spec.protocol != "HTTPS":
        return None
    row = db.get(POLICIES, held.policy)
    return Http3() if isinstance(row, ClientTrafficPolicy) and client.speaks_http3(row.spec) else None


def _others(db: Db, fleet: GatewayRef, found: Judged, scope: Scope) -> Iterator[str]:
    """Plain HTTP listeners of the same port that the policy's scope does not take in."""
    if found.spec.protocol != "HTTP":
        return
    for each in judged(db, fleet):
        if each.ready and each.key != found.key and (each.spec.protocol, each.spec.port) == ("HTTP", found.spec.port):
            inside = scope.section is None and scope.object in (each.owner, each.gateway)
            if not inside:
                yield each.ir_name


def having(db: Db, fleet: GatewayRef, policy: ObjectRef, scope: Scope) -> Iterator[tuple[Judged, Held]]:
    """The listeners for which a policy comes into question by one of its scopes."""
    for each in judged(db, fleet):
        for held in policies_of(db, fleet, each.key) if each.ready and scope in _scopes(each) else ():
            if (held.policy, held.scope) == (policy, scope):
                yield each, held
