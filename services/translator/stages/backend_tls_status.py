"""What BackendTLSPolicies are told: for each parent of a route that reaches a backend of theirs, whether it holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from services.translator.stages.attach import attachments
from services.translator.stages.backend_tls_policies import bundle, conflict_of, policy_for
from services.translator.stages.backends import section_of, upstream
from services.translator.stages.collectors import collector_refs
from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.gateways import served
from services.translator.stages.policies.asked import asked
from services.translator.stages.policies.kinds import FOR_ROUTES
from services.translator.stages.policies.shards import uses
from services.translator.stages.proxies import effective
from services.translator.stages.statuses import gateway_id, part
from services.translator.stages.tables import BACKEND_TLS_POLICIES, GATEWAYS, LATE, POLICIES, ROUTES, settings
from shared.api.envoy import GROUP as ENVOY
from shared.api.gateway import BackendObjectReference
from shared.api.routes import GrpcRoute, HttpRoute, StreamRoute
from shared.core.refs import ObjectRef
from shared.features.parts.problem import ACCEPTED, RESOLVED_REFS
from shared.incremental import Collection, Db, Pending
from shared.ir.status import StatusPart

Use = tuple[ObjectRef, ObjectRef, str]
"""Policy, Gateway, and the parent reference (JSON) of a route through which it is used there."""


def _backends(row: HttpRoute | GrpcRoute | StreamRoute) -> Iterator[BackendObjectReference]:
    if isinstance(row, StreamRoute):
        yield from (ref for rule in row.spec.rules for ref in rule.backend_refs if ref.weight)
        return
    rules = row.spec.rules
    for rule in rules:
        yield from (ref for ref in rule.backend_refs if ref.weight)
        yield from (each.request_mirror.backend_ref for each in rule.filters if each.request_mirror is not None)


def _uses(db: Db, route: ObjectRef) -> Mapping[Use, bool]:
    row = db.get(ROUTES, route)
    if row is None:
        return {}
    found = {}
    for each in attachments(db, route):
        for ref in _backends(row):
            policy = upstream(db, ref, route.namespace, route.kind, each.gateway).policy
            if policy is not None:
                found[policy, each.gateway, msgspec.json.encode(each.parent).decode()] = True
    return found


def _telemetry_uses(db: Db, gateway: ObjectRef) -> Mapping[Use, bool]:
    if not served(db, gateway):
        return {}
    found = {}
    proxy = (effective(db, gateway).raw or {}).get("metadata", {})
    parent = {"group": ENVOY, "kind": "EnvoyProxy", "namespace": proxy.get("namespace", ""), "name": proxy.get("name", "")}
    for ref in collector_refs(effective(db, gateway).spec.telemetry):
        at = ObjectRef(ref.group, ref.kind, ref.namespace or proxy.get("namespace", ""), ref.name)
        policy = policy_for(db, at, section_of(db, at, ref.port))
        if policy is not None:
            found[policy, gateway, msgspec.json.encode(parent).decode()] = True
    return found


def _policy_uses(db: Db, policy: ObjectRef) -> Mapping[Use, bool]:
    """Services that a policy makes proxies ask."""
    row = db.get(POLICIES, policy)
    if row is None or policy.kind not in FOR_ROUTES:
        return {}
    parent = {"group": policy.group, "kind": policy.kind, "namespace": policy.namespace, "name": policy.name}
    shown = msgspec.json.encode(parent).decode()
    found = {}
    for gateway in dict.fromkeys(gateway for gateway, _ in uses(db, policy)):
        for ref in asked(row.spec):
            at = ObjectRef(ref.group, ref.kind, ref.namespace or policy.namespace, ref.name)
            used = policy_for(db, at, section_of(db, at, ref.port))
            if used is not None:
                found[used, gateway, shown] = True
    return found


def _ancestors(db: Db, use: Use) -> Mapping[ObjectRef, bool]:
    return {use[0]: True}


USES: Collection[Use, bool] = Collection("backend_tls_uses", source=ROUTES, fn=_uses)
ANCESTORS: Collection[ObjectRef, bool] = Collection("backend_tls_ancestors", source=USES, fn=_ancestors)
"""A policy's uses, each once however many routes there are behind it."""
POLICY_USES: Collection[Use, bool] = Collection("backend_tls_policy_uses", source=POLICIES, fn=_policy_uses)
POLICY_ANCESTORS: Collection[ObjectRef, bool] = Collection("backend_tls_policy_ancestors", source=POLICY_USES, fn=_ancestors)
TELEMETRY_USES: Collection[Use, bool] = Collection("backend_tls_telemetry_uses", source=GATEWAYS, fn=_telemetry_uses)
TELEMETRY_ANCESTORS: Collection[ObjectRef, bool] = Collection("backend_tls_telemetry_ancestors", source=TELEMETRY_USES, fn=_ancestors)


def _reached(db: Db, ref: ObjectRef) -> tuple[Use, ...]:
    return (*db.group(ANCESTORS, ref), *db.group(POLICY_ANCESTORS, ref), *db.group(TELEMETRY_ANCESTORS, ref))


def backend_tls_policy_status(db: Db, ref: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    row = db.get(BACKEND_TLS_POLICIES, ref)
    if row is None:
        return {}
    generation = row.metadata.generation
    by_gateway: dict[ObjectRef, dict[str, Conditions]] = defaultdict(dict)
    for _, gateway, parent in _reached(db, ref):
        by_gateway[gateway][parent] = _judged(db, ref, generation)
    other = conflict_of(db, ref)
    for _, gateway, parent in _reached(db, other) if other is not None else ():
        conditions = by_gateway[gateway].setdefault(parent, Conditions(generation))
        conditions.set(ACCEPTED, False, "Conflicted", f"Policy conflicts with BackendTLSPolicy {other.namespace}/{other.name}.")  # type: ignore[union-attr]
    return {
        (ref, gateway_id(g)): part(ref, gateway_id(g), generation, {"ancestors": [_shown(db, p, c) for p, c in found.items()]})
        for g, found in by_gateway.items()
    }


def _shown(db: Db, parent: str, conditions: Conditions) -> dict[str, Any]:
    controller = settings(db).controller_name
    return {"ancestorRef": msgspec.json.decode(parent), "controllerName": controller, "conditions": plain(conditions.all())}


def _judged(db: Db, ref: ObjectRef, generation: int) -> Conditions:
    """Raises Pending while an authority is unknown, but not for too long: then that is its condition."""
    conditions = Conditions(generation)
    try:
        found = bundle(db, ref)
    except Pending as e:
        if not isinstance(e.key, ObjectRef) or db.get(LATE, e.key) is None:
            raise
        conditions.set(ACCEPTED, False, "Pending", f"{e.key} is not known yet")
        return conditions
    if found.tls is None:
        conditions.set(ACCEPTED, False, "NoValidCACertificate", found.message)
        conditions.set(RESOLVED_REFS, False, found.reason, found.message)
    else:
        conditions.set(RESOLVED_REFS, True, "ResolvedRefs", "Resolved all the Object references.")
        conditions.set(ACCEPTED, True, "Accepted", "Policy has been accepted.")
    return conditions
