"""mergeBackends: one Envoy cluster for all routes to a backend, where nothing about a route asks for a cluster of its own."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from services.translator.stages.grants import selector_fault, selects
from services.translator.stages.policies.says import TRAFFIC
from services.translator.stages.policies.targets import Scope, holder
from services.translator.stages.tables import BACKENDS, SERVICE_IMPORTS, SERVICES
from services.translator.stages.views import view
from shared.api.gateway import BackendObjectReference
from shared.core.refs import ObjectRef
from shared.incremental import Db, Table, query
from shared.ir.destination import BackendCluster, DestinationSetting
from shared.ir.shards import policy_key

_TABLES: dict[str, Table[ObjectRef, Any]] = {"Service": SERVICES, "ServiceImport": SERVICE_IMPORTS, "Backend": BACKENDS}


class Sharing(msgspec.Struct, frozen=True):
    """A backend's setting in a route: what is left of it where its cluster is shared, and that cluster."""

    setting: DestinationSetting
    cluster: BackendCluster | None = None


def merges(db: Db, gateway: ObjectRef) -> bool:
    seen = view(db, gateway)
    return seen is not None and seen.merge_backends is not None


def shared(db: Db, gateway: ObjectRef, ref: BackendObjectReference, namespace: str, setting: DestinationSetting) -> Sharing:
    """A setting of a rule that may share; what a backendRef has for itself, or the selector leaves out, stays the route's own."""
    if not setting.weight or setting.invalid or setting.is_dynamic_resolver or setting.filters is not None or not setting.endpoints_ref:
        return Sharing(setting)
    target = ObjectRef(ref.group, ref.kind, ref.namespace or namespace, ref.name)
    if not _selected(db, gateway, target):
        return Sharing(setting)
    name = f"{target.kind.lower()}/{target.namespace}/{target.name}/{ref.port or 0}/{(setting.protocol or 'TCP').lower()}"
    whole = replace(setting, name=name, weight=None)
    cluster = BackendCluster(name=name, setting=whole, metadata=setting.metadata, policies=_policies(db, gateway))
    kept = DestinationSetting(name=setting.name, weight=setting.weight, endpoints_ref=setting.endpoints_ref, backend_cluster=name)
    return Sharing(kept, cluster)


@query
def _policies(db: Db, gateway: ObjectRef) -> tuple[str, ...]:
    """Keys of what speaks for the clusters that a Gateway's routes share: its own policy, which is that of all of them."""
    policy = holder(db, TRAFFIC, Scope(gateway))
    return (policy_key(policy),) if policy is not None else ()


def _selected(db: Db, gateway: ObjectRef, target: ObjectRef) -> bool:
    seen = view(db, gateway)
    if seen is None or seen.merge_backends is None:
        return False
    selector = seen.merge_backends.selector
    if selector is None:
        return True
    table = _TABLES.get(target.kind)
    row = db.get(table, target) if table is not None else None
    return row is not None and not selector_fault(selector) and selects(selector, row.metadata.labels)
