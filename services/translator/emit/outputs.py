"""Every output of the translator, as data: which collection makes it, from which input, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.translator.stages import fleets, gateway_status, routes, statuses
from services.translator.stages.backend_tls_status import backend_tls_policy_status
from services.translator.stages.endpoints import endpoints
from services.translator.stages.extension_policies import extension_shards, used_object
from services.translator.stages.extension_status import extension_policy_status
from services.translator.stages.gateways import FLEETS
from services.translator.stages.judged import judged, judged_listener
from services.translator.stages.listener_ir import shard_key
from services.translator.stages.listener_set_status import listener_set_status
from services.translator.stages.policies.listeners import served
from services.translator.stages.policies.patch import patch_policy_status, patch_shards
from services.translator.stages.policies.shards import endpoints_of_services, policy_shards
from services.translator.stages.policies.statuses import policy_status
from services.translator.stages.tables import (
    BACKEND_TLS_POLICIES,
    BACKENDS,
    CLASSES,
    EXTENSIONS,
    GATEWAYS,
    INVALID,
    LISTENER_SETS,
    POLICIES,
    PROXIES,
    ROUTES,
)
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db, MinBy, fold
from shared.ir.base import IR
from shared.ir.destination import BackendCluster
from shared.ir.infra import Infra
from shared.ir.shards import GATEWAY, shard_type
from shared.ir.status import StatusPart
from shared.ir.unstructured import ExtensionShard

At = tuple[GatewayRef, str]
"""A shard's place: the fleet and the shard's key."""


def _gateway_shard(db: Db, fleet: GatewayRef) -> Mapping[At, IR]:
    return {(fleet, GATEWAY): fleets.gateway_shard(db, fleet)}


def _listeners(db: Db, fleet: GatewayRef) -> Mapping[At, bool]:
    return {(fleet, each.key): True for each in judged(db, fleet) if each.ready}


def _listener_shard(db: Db, at: At) -> Mapping[At, IR]:
    fleet, key = at
    made, found = served(db, fleet, key), judged_listener(db, fleet, key)
    return {(fleet, shard_key(found)): made.ir} if made is not None and found is not None else {}


def _shared_shard(db: Db, at: At) -> Mapping[At, IR]:
    if shard_type(at[1]) is ExtensionShard:
        found = used_object(db, at[1])
        return {at: found} if found is not None else {}
    return {at: db.fold(SHARED_CLUSTERS, at) or endpoints(db, at[1])}


def _endpoints_shard(db: Db, at: At) -> Mapping[At, IR]:
    return {at: endpoints(db, at[1])}


def _infra(db: Db, fleet: GatewayRef) -> Mapping[GatewayRef, Infra]:
    return {fleet: fleets.infra(db, fleet)}


LISTENERS: Collection[At, bool] = Collection("listeners", source=FLEETS, fn=_listeners)
USED_SHARDS: Collection[At, BackendCluster | None] = Collection("used_shards", source=ROUTES, fn=routes.used_shards)
SHARED_CLUSTERS = fold(USED_SHARDS, "shared_clusters", MinBy(lambda _: 0))
"""A cluster that several routes share, from any of them; None for endpoints. Both stand while one route needs them."""

POLICY_ENDPOINTS: Collection[At, bool] = Collection("used_by_policies", source=POLICIES, fn=endpoints_of_services)

SHARDS: tuple[Collection[At, IR], ...] = (
    Collection("gateway_shards", source=FLEETS, fn=_gateway_shard),
    Collection("listener_shards", source=LISTENERS, fn=_listener_shard),
    Collection("route_shards", source=ROUTES, fn=routes.route_shards),
    Collection("shared_shards", source=USED_SHARDS, fn=_shared_shard),
    Collection("policy_shards", source=POLICIES, fn=policy_shards),
    Collection("patch_shards", source=POLICIES, fn=patch_shards),
    Collection("extension_shards", source=EXTENSIONS, fn=extension_shards),
    Collection("policy_endpoints", source=POLICY_ENDPOINTS, fn=_endpoints_shard),
)
INFRA: Collection[GatewayRef, Infra] = Collection("infra", source=FLEETS, fn=_infra)
STATUSES: tuple[Collection[tuple[ObjectRef, str], StatusPart], ...] = (
    Collection("class_statuses", source=CLASSES, fn=statuses.class_status),
    Collection("gateway_statuses", source=GATEWAYS, fn=gateway_status.gateway_status),
    Collection("listener_set_statuses", source=LISTENER_SETS, fn=listener_set_status),
    Collection("route_statuses", source=ROUTES, fn=statuses.route_status),
    Collection("backend_tls_policy_statuses", source=BACKEND_TLS_POLICIES, fn=backend_tls_policy_status),
    Collection("policy_statuses", source=POLICIES, fn=policy_status),
    Collection("patch_policy_statuses", source=POLICIES, fn=patch_policy_status),
    Collection("extension_policy_statuses", source=EXTENSIONS, fn=extension_policy_status),
    Collection("proxy_statuses", source=PROXIES, fn=statuses.proxy_status),
    Collection("backend_statuses", source=BACKENDS, fn=statuses.backend_status),
    Collection("invalid_statuses", source=INVALID, fn=statuses.invalid_status),
)
OUTPUTS: tuple[Collection[Any, Any], ...] = (*SHARDS, INFRA, *STATUSES)
