"""EnvoyPatchPolicies: which fleet's configuration one changes, whether it may, and what became of it in the xds_servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.translator.stages.conditions import Conditions, plain
from services.translator.stages.gateways import FLEETS, served
from services.translator.stages.proxies import fleet_of, merges_gateways
from services.translator.stages.statuses import gateway_id, part, rejections
from services.translator.stages.tables import CLASSES, PATCHED, POLICIES, XDS_STATUS, class_ref, gateway_ref, settings
from shared.api.gateway import GROUP
from shared.api.patch_policy import EnvoyPatchPolicy as Policy
from shared.api.patch_policy import JsonPatchSpec
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.parts.problem import ACCEPTED
from shared.incremental import Db
from shared.ir.patch import EnvoyPatchPolicy, JsonPatch, JsonPatchOperation, PatchShard
from shared.ir.shards import policy_key
from shared.ir.status import PatchReport, StatusPart


class Target(NamedTuple):
    """What a policy is about: a Gateway, or where Gateways are merged their class. Without a fleet there is nothing to patch."""

    fleet: GatewayRef | None
    kind: str
    ancestor: dict[str, str]
    gateway: str = ""
    fault: tuple[str, str] | None = None
    """Reason and message why the policy is not accepted."""


def _target(db: Db, policy: ObjectRef, row: Policy) -> Target | None:
    """None where the policy concerns nobody."""
    ref = row.spec.target_ref
    if ref is None:
        return None
    gateway, merged = gateway_ref(policy.namespace, ref.name), GatewayRef("", ref.name)
    of_class = Target(merged, "GatewayClass", {"group": GROUP, "kind": "GatewayClass", "name": ref.name})
    if _is_merged(db, ref.name):
        found = of_class
    elif not served(db, gateway):
        return None
    elif not fleet_of(db, gateway).namespace:
        text = f"Gateways of this class are merged: the target must be their GatewayClass, not {ref.kind} {ref.name}"
        return of_class._replace(fleet=None, fault=("Invalid", text))
    else:
        about = {"group": GROUP, "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name}
        found = Target(fleet_of(db, gateway), "Gateway", about, gateway_id(gateway))
    if not settings(db).envoy_patch_policy:
        return found._replace(fault=("Disabled", "EnvoyPatchPolicy is disabled in the EnvoyGateway configuration"))
    if (ref.group, ref.kind) != (GROUP, found.kind):
        return found._replace(fault=("Invalid", f"target {ref.group}/{ref.kind} is not supported, only {GROUP}/{found.kind} is"))
    return found


def _is_merged(db: Db, name: str) -> bool:
    """Whether this is a class of ours whose Gateways share a fleet that exists."""
    row = db.get(CLASSES, class_ref(name))
    return (
        row is not None
        and row.spec.controller_name == settings(db).controller_name
        and merges_gateways(db, name)
        and bool(db.group(FLEETS, GatewayRef("", name)))
    )


def patch_shards(db: Db, policy: ObjectRef) -> Mapping[tuple[GatewayRef, str], PatchShard]:
    """What of a policy crosses the bus; of one that is not accepted only that it is there."""
    row = db.get(POLICIES, policy)
    target = _target(db, policy, row) if isinstance(row, Policy) else None
    if not isinstance(row, Policy) or target is None or target.fleet is None:
        return {}
    patches = tuple(_patch(each) for each in row.spec.json_patches) if target.fault is None else ()
    meta = row.metadata
    made = EnvoyPatchPolicy(name=policy.name, namespace=policy.namespace, generation=meta.generation, json_patches=patches)
    shard = PatchShard(priority=row.spec.priority, created=meta.creation_timestamp, policy=made)
    return {(target.fleet, policy_key(policy)): shard}


def _patch(spec: JsonPatchSpec) -> JsonPatch:
    of = spec.operation
    operation = JsonPatchOperation(op=of.op, path=of.path, json_path=of.json_path, from_=of.from_, value=of.value)
    return JsonPatch(type=spec.type, name=spec.name, operation=operation)


def patch_policy_status(db: Db, policy: ObjectRef) -> Mapping[tuple[ObjectRef, str], StatusPart]:
    """Accepted by the translator, programmed by xds_servers."""
    row = db.get(POLICIES, policy)
    target = _target(db, policy, row) if isinstance(row, Policy) else None
    if not isinstance(row, Policy) or target is None:
        return {}
    conditions = Conditions(row.metadata.generation)
    if target.fault is not None:
        conditions.set(ACCEPTED, False, *target.fault)
    else:
        conditions.set(ACCEPTED, True, "Accepted", "Policy has been accepted.")
        _programmed(db, policy, target.fleet, row.metadata.generation, conditions)
    shown = {"ancestorRef": target.ancestor, "controllerName": settings(db).controller_name, "conditions": plain(conditions.all())}
    return {(policy, target.gateway): part(policy, target.gateway, row.metadata.generation, {"ancestors": [shown]})}


def _programmed(db: Db, policy: ObjectRef, fleet: GatewayRef | None, generation: int, conditions: Conditions) -> None:
    """Nothing is said before an xds_server has carried out this generation."""
    if fleet is None:
        return
    if (rejected := rejections(db, fleet, policy)) is not None:
        conditions.set("Programmed", False, "Invalid", f"Envoy rejected the configuration: {rejected}")
        return
    reports = [r for r in _reports(db, fleet, f"{policy.namespace}/{policy.name}") if r.generation == generation]
    faults = sorted({fault for r in reports for fault in r.faults})
    missing = sorted({name for r in reports for name in r.missing})
    texts = [*faults, *([f"Unable to find xds resources: {', '.join(missing)}"] if missing else ())]
    if texts:
        conditions.set("Programmed", False, "ResourceNotFound" if missing else "Invalid", "\n".join(texts))
    elif reports:
        conditions.set("Programmed", True, "Programmed", "Patches have been successfully applied.")


def _reports(db: Db, fleet: GatewayRef, name: str) -> list[PatchReport]:
    rows = (db.get(XDS_STATUS, key) for key in db.keys(PATCHED, (fleet, name)))
    return [report for row in rows if row is not None and (report := row.patches.get(name)) is not None]
