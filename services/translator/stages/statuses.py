"""What objects are told: one part of an object's status for each Gateway that has something to say about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from services.translator.stages.attach import Attachment, attachments, parent_gateway
from services.translator.stages.backends import backend_fault, needs_endpoints
from services.translator.stages.conditions import Conditions, plain, sentence
from services.translator.stages.endpoints import reachable
from services.translator.stages.features import supported
from services.translator.stages.gateways import ours, served
from services.translator.stages.overlaps import overlap_text
from services.translator.stages.proxies import class_proxy, effective, proxy_problem
from services.translator.stages.routes import KIND_RANK, unresolvable
from services.translator.stages.rules import Rules, rules
from services.translator.stages.tables import (
    BACKENDS,
    CLASSES,
    CLASSES_BY_PROXY,
    FAILED,
    GATEWAYS_BY_PROXY,
    INVALID,
    LATE,
    PROXIES,
    REJECTIONS,
    ROUTES,
    XDS_STATUS,
    settings,
)
from services.translator.stages.telemetry import unsupported_fields
from shared.api.gateway import GROUP, ParentReference
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.parts.problem import ACCEPTED, BACKENDS_AVAILABLE, RESOLVED_REFS, Problem, unresolved
from shared.incremental import Db, Pending
from shared.ir.status import StatusPart

STREAM_KINDS = ("TLSRoute", "TCPRoute", "UDPRoute")
Parts = Mapping[tuple[ObjectRef, str], StatusPart]


def part(ref: ObjectRef, gateway: str, generation: int, status: dict[str, Any]) -> StatusPart:
    return StatusPart(
        group=ref.group, kind=ref.kind, namespace=ref.namespace, name=ref.name, gateway=gateway, generation=generation, status=status
    )


def _shown(parent: ParentReference) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(parent)
    return shown


def gateway_id(gateway: ObjectRef) -> str:
    """A Gateway as it stands in a status part's key."""
    return f"{gateway.namespace}/{gateway.name}"


def rejections(db: Db, fleet: GatewayRef, ref: ObjectRef) -> str | None:
    """What Envoy said when it refused this object's configuration; None where it did not."""
    name = f"{ref.group}/{ref.kind}/{ref.namespace}/{ref.name}"
    keys = db.keys(REJECTIONS, (fleet, name))
    rows = [row for key in keys if (row := db.get(XDS_STATUS, key)) is not None]
    details = {f"{r.resource}: {r.detail}" for row in rows for r in row.rejections if name in r.objects}
    return "; ".join(sorted(details)) or None


def route_status(db: Db, route: ObjectRef) -> Parts:
    """A route's parents, a part for each Gateway."""
    row = db.get(ROUTES, route)
    if row is None:
        return {}
    failed = db.get(FAILED, route)
    parents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in attachments(db, route):
        conditions = Conditions(row.metadata.generation)
        if failed is not None:
            conditions.set(ACCEPTED, False, "UnsupportedValue", f"Translation failed: {failed}")
        else:
            _route_conditions_or_pending(db, route, each, conditions)
        parents[gateway_id(each.gateway)].append(_parent(db, each.parent, conditions))
    return {(route, g): part(route, g, row.metadata.generation, {"parents": p}) for g, p in parents.items()}


def _parent(db: Db, parent: ParentReference, conditions: Conditions) -> dict[str, Any]:
    return {"parentRef": _shown(parent), "controllerName": settings(db).controller_name, "conditions": plain(conditions.all())}


def _route_conditions_or_pending(db: Db, route: ObjectRef, each: Attachment, conditions: Conditions) -> None:
    """Raises Pending while an object that the route reads is unknown, but not for too long: then that is its condition."""
    try:
        _route_conditions(db, route, each, conditions)
    except Pending as e:
        if not isinstance(e.key, ObjectRef) or db.get(LATE, e.key) is None:
            raise
        conditions.set(ACCEPTED, True, "Accepted", "Route is accepted")
        conditions.set("Programmed", False, "Pending", f"{e.key} is not known yet")


def _route_conditions(db: Db, route: ObjectRef, each: Attachment, conditions: Conditions) -> None:
    made = rules(db, route, each.gateway)
    _rule_conditions(made.problems + _unreachable(db, route, each, made), made, conditions)
    if made.destination is None and made.refused and route.kind in STREAM_KINDS:
        return
    if RESOLVED_REFS not in conditions:
        conditions.set(RESOLVED_REFS, True, "ResolvedRefs", "Resolved all the Object references for the Route")
    if each.problem is not None:
        conditions.set(each.problem.condition, False, each.problem.reason, each.problem.message)
    if (overlap := overlap_text(db, route, each)) is not None:
        conditions.set("RouteRulesOverlap", True, "RouteRulesOverlap", overlap)
    if (rejected := rejections(db, each.fleet, route)) is not None:
        conditions.set("Programmed", False, "Invalid", f"Envoy rejected the configuration: {rejected}")


def _unreachable(db: Db, route: ObjectRef, each: Attachment, made: Rules) -> tuple[Problem, ...]:
    """What only the endpoints and the listener decide. For HTTP a backend without endpoints is an answer (503), no broken reference."""
    found = []
    missing = [key for key in made.endpoints if needs_endpoints(key) and not reachable(db, key)]
    if missing:
        names = ", ".join("/".join(key.split(".")[2:4]) for key in missing[:10])
        text = f"Failed to find endpoints: no ready endpoints for {names}"
        found.append(Problem(RESOLVED_REFS if route.kind in STREAM_KINDS else BACKENDS_AVAILABLE, "EndpointsNotFound", text))
    if made.destination is not None and any(at.point.ready and unresolvable(at, made.destination) for at in each.at if at.hosts):
        found.append(unresolved("Dynamic resolver backend is only supported with TLS passthrough listeners", "UnsupportedValue"))
    return tuple(found)


def _rule_conditions(problems: Iterable[Problem], made: Rules, conditions: Conditions) -> None:
    conditions.set(ACCEPTED, True, "Accepted", "Route is accepted")
    by_type: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_type[problem.condition].append(problem)
    for kind, problems in by_type.items():
        reason = ",".join(sorted({p.reason for p in problems}))
        text = "\n".join(sentence(p.message) for p in problems)
        if kind != ACCEPTED:
            conditions.set(kind, False, reason, text)
        elif len(made.unaccepted) == made.count:
            conditions.set(ACCEPTED, False, reason, text)
        else:
            dropped = " ".join(str(i) for i in made.unaccepted)
            conditions.set("PartiallyInvalid", True, reason, f"Dropped Rule(s) [{dropped}]: {text}")


def class_status(db: Db, ref: ObjectRef) -> Parts:
    """Whether a class of ours can be used."""
    row = db.get(CLASSES, ref)
    if row is None or row.spec.controller_name != settings(db).controller_name:
        return {}
    conditions = Conditions(row.metadata.generation)
    problem = class_proxy(db, ref.name).problem
    if problem is None:
        conditions.set(ACCEPTED, True, "Accepted", "Valid GatewayClass")
    else:
        conditions.set(ACCEPTED, False, "InvalidParameters", f"Invalid parametersRef: {problem}")
    fields: dict[str, Any] = {"conditions": plain(conditions.all())}
    if problem is None:
        fields["supportedFeatures"] = [{"name": name} for name in supported(gateway_namespace_mode=settings(db).gateway_namespace_mode)]
    return {(ref, ""): part(ref, "", row.metadata.generation, fields)}


def proxy_status(db: Db, ref: ObjectRef) -> Parts:
    """An EnvoyProxy's ancestors: the classes and Gateways that use it."""
    row = db.get(PROXIES, ref)
    invalid = db.get(INVALID, ref)
    if row is None and invalid is None:
        return {}
    generation = row.metadata.generation if row is not None else invalid.generation if invalid is not None else 0
    conditions = Conditions(generation)
    problem = proxy_problem(db, ref)
    if problem is None:
        conditions.set(ACCEPTED, True, "Accepted", "EnvoyProxy has been accepted.")
    else:
        conditions.set(ACCEPTED, False, "InvalidParameters", problem)
    raw = row.raw if row is not None else {}
    if problem is None and (unsupported := unsupported_fields(raw, on_host=settings(db).running_on_host)):
        conditions.set("Warning", True, "UnsupportedField", f"Not supported yet, without effect: {', '.join(unsupported)}")
    elif "luaValidation" in raw.get("spec", {}):
        conditions.set("Warning", True, "DeprecatedField", "spec.luaValidation is deprecated, use spec.lua.validationType instead")
    shown = plain(conditions.all())
    parts: dict[tuple[ObjectRef, str], StatusPart] = {}
    classes = [c for c in db.keys(CLASSES_BY_PROXY, ref) if _class_is_ours(db, c)]
    if classes:
        ancestors = [{"ancestorRef": {"group": GROUP, "kind": "GatewayClass", "name": c.name}, "conditions": shown} for c in classes]
        parts[ref, ""] = part(ref, "", generation, {"ancestors": ancestors})
    for gateway in db.keys(GATEWAYS_BY_PROXY, ref):
        if ours(db, gateway) and _uses(db, gateway, ref):
            at = {"group": GROUP, "kind": "Gateway", "name": gateway.name, "namespace": gateway.namespace}
            g = gateway_id(gateway)
            parts[ref, g] = part(ref, g, generation, {"ancestors": [{"ancestorRef": at, "conditions": shown}]})
    return parts


def _class_is_ours(db: Db, ref: ObjectRef) -> bool:
    row = db.get(CLASSES, ref)
    return row is not None and row.spec.controller_name == settings(db).controller_name


def _uses(db: Db, gateway: ObjectRef, proxy: ObjectRef) -> bool:
    return effective(db, gateway).source == proxy


def backend_status(db: Db, ref: ObjectRef) -> Parts:
    """Whether a Backend can be used by anybody."""
    row = db.get(BACKENDS, ref)
    if row is None:
        return {}
    env = settings(db)
    problem = backend_fault(db, ref, row)
    fault = problem.message if problem is not None else None
    if not env.backend:
        fault = "Backend is disabled in Envoy Gateway configuration"
    conditions = Conditions(row.metadata.generation)
    if fault is None:
        conditions.set("Accepted", True, "Accepted", "The Backend was accepted")
    else:
        conditions.set("Invalid", False, "Accepted", f"The Backend was not accepted: {fault}")
    return {(ref, ""): part(ref, "", row.metadata.generation, {"conditions": plain(conditions.all())})}


def invalid_status(db: Db, ref: ObjectRef) -> Parts:
    """An object that could not be parsed says so wherever its kind has a place for it."""
    row = db.get(INVALID, ref)
    if row is None or ref.kind == "EnvoyProxy":
        return {}
    reason = {"Gateway": "Invalid", "GatewayClass": "InvalidParameters"}.get(ref.kind, "UnsupportedValue" if row.parent_refs else "Invalid")
    return _refused(db, ref, row.generation, row.parent_refs, row.target_refs, reason, f"The object is invalid: {row.message}")


def _refused(
    db: Db, ref: ObjectRef, generation: int, parents: Iterable[ParentReference], targets: Iterable[ParentReference], reason: str, text: str
) -> Parts:
    conditions = Conditions(generation)
    conditions.set(ACCEPTED, False, reason, text)
    shown = plain(conditions.all())
    env = settings(db)
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    if ref.kind in ("Gateway", "GatewayClass", "Backend", "ListenerSet"):
        return {(ref, ""): part(ref, "", generation, {"conditions": shown})}
    for each in parents:
        gateway = parent_gateway(db, each, ref.namespace)
        if gateway is not None and served(db, gateway):
            entry = {"parentRef": _shown(each), "controllerName": env.controller_name, "conditions": shown}
            found[gateway_id(gateway)]["parents"].append(entry)
    for each in targets:
        for g, at in _ancestors(db, ref, each):
            found[g]["ancestors"].append({"ancestorRef": at, "controllerName": env.controller_name, "conditions": shown})
    return {(ref, g): part(ref, g, generation, {k: list(v) for k, v in fields.items()}) for g, fields in found.items()}


def _ancestors(db: Db, ref: ObjectRef, target: ParentReference) -> Iterator[tuple[str, dict[str, str]]]:
    """Whom a policy's target concerns: the Gateway itself, a route's Gateways, or else the target as it is named."""
    gateways: list[ObjectRef] = []
    is_route = target.kind in KIND_RANK
    if target.kind is not None and is_route:
        route = ObjectRef(GROUP, target.kind, target.namespace or ref.namespace, target.name)
        gateways = list(dict.fromkeys(a.gateway for a in attachments(db, route)))
    elif (gateway := parent_gateway(db, target, ref.namespace)) is not None and ours(db, gateway):
        gateways = [gateway]
    section = {"sectionName": target.section_name} if target.section_name is not None and not is_route else {}
    for each in gateways:
        yield gateway_id(each), {"group": GROUP, "kind": "Gateway", "name": each.name, "namespace": each.namespace, **section}
    if not gateways and target.kind != "Gateway":
        group = {"group": target.group} if target.group is not None else {}
        yield "", {**group, "kind": target.kind or "", "name": target.name, "namespace": target.namespace or ref.namespace, **section}
