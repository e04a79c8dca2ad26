"""What policies of extension servers are told: whether they are handed over, for each Gateway or listener that they concern."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from services.translator.stages.attach import attachments
from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.extension_policies import ROUTE_KINDS, scopes
from services.translator.stages.gateways import served
from services.translator.stages.judged import judged
from services.translator.stages.policies.targets import Scope, exists
from services.translator.stages.proxies import fleet_of
from services.translator.stages.statuses import gateway_id, part, rejections
from services.translator.stages.tables import EXTENSIONS, settings
from shared.api.gateway import GROUP
from shared.core.refs import ObjectRef
from shared.features.parts.problem import ACCEPTED
from shared.incremental import Db
from shared.ir.status import StatusPart

_OTHER_ROUTES = ("TLSRoute", "TCPRoute", "UDPRoute")


class _Told:
    """The conditions under construction, by Gateway and ancestor; they never leave the query that builds them."""

    def __init__(self, db: Db, policy: ObjectRef, generation: int) -> None:
        self.db, self.policy, self.generation = db, policy, generation
        self.by_ancestor: dict[tuple[ObjectRef, str | None], Conditions] = {}

    def tell(self, gateway: ObjectRef, section: str | None, good: bool, reason: str, text: str) -> None:
        self.by_ancestor.setdefault((gateway, section), Conditions(self.generation)).set(ACCEPTED, good, reason, text)

    def accept(self, gateway: ObjectRef, section: str | None) -> None:
        self.tell(gateway, section, True, "Accepted", "Policy has been accepted.")


def extension_policy_status(db: Db, policy: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    """A policy's ancestors, a part for each Gateway. One that is attached to nothing is told nothing."""
    row = db.get(EXTENSIONS, policy)
    if row is None:
        return {}
    told = _Told(db, policy, row.metadata.generation)
    for scope in scopes(db, policy):
        if scope.object.kind in (*ROUTE_KINDS, *_OTHER_ROUTES):
            _of_route(told, scope)
        elif scope.object.kind == "Gateway":
            _of_gateway(told, scope)
    controller = settings(db).controller_name
    parts: dict[ObjectRef, list[dict[str, Any]]] = defaultdict(list)
    for (gateway, section), conditions in told.by_ancestor.items():
        if (rejected := rejections(db, fleet_of(db, gateway), policy)) is not None:
            conditions.set("Programmed", False, "Invalid", f"Envoy rejected the configuration: {rejected}")
        at = {"group": GROUP, "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name}
        at |= {"sectionName": section} if section is not None else {}
        parts[gateway].append({"ancestorRef": at, "controllerName": controller, "conditions": plain(conditions.all())})
    return {(policy, gateway_id(g)): part(policy, gateway_id(g), row.metadata.generation, {"ancestors": a}) for g, a in parts.items()}


def _of_route(told: _Told, scope: Scope) -> None:
    for each in attachments(told.db, scope.object):
        section = each.parent.section_name
        if scope.object.kind in _OTHER_ROUTES:
            told.tell(each.gateway, section, False, "Invalid", f"ExtensionServerPolicy does not support targeting {scope.object.kind}")
        elif not exists(told.db, scope):
            at = scope.object
            text = f"No section name {scope.section} found for {at.kind} {at.namespace}/{at.name}"
            told.tell(each.gateway, section, False, "TargetNotFound", text)
        elif any(at.hosts and at.point.ready for at in each.at):
            told.accept(each.gateway, section)


def _of_gateway(told: _Told, scope: Scope) -> None:
    db, gateway = told.db, scope.object
    if not served(db, gateway):
        return
    listeners = (each for each in judged(db, fleet_of(db, gateway)) if each.ready and each.gateway == gateway)
    if any(scope.section is None or (each.owner == gateway and each.spec.name == scope.section) for each in listeners):
        told.accept(gateway, scope.section)
