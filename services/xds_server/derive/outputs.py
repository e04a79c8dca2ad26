"""What comes out of the computation: which collections give which resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.xds_server.derive.clusters import (
    ASSIGNMENTS,
    CLUSTERS,
    GATEWAY_CLUSTERS,
    GATEWAY_RESOURCES,
    LISTENER_SECRETS,
    POLICY_ASSIGNMENTS,
    POLICY_CLUSTERS,
    SHARED_ASSIGNMENTS,
    SHARED_CLUSTERS,
)
from services.xds_server.derive.listeners import LISTENER_RESOURCES, ROUTE_RESOURCES
from services.xds_server.derive.routes import ROUTE_OUTPUTS
from services.xds_server.render.types import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    SECRET,
    Need,
    Rendered,
)
from shared.incremental import Collection

# Where two give the same resource (a certificate used towards clients and backends), the first of these goes.
BY_TYPE: Mapping[str, tuple[Collection[Need, Rendered], ...]] = {
    LISTENER: (LISTENER_RESOURCES, GATEWAY_RESOURCES),
    ROUTE: (ROUTE_RESOURCES,),
    CLUSTER: (CLUSTERS, SHARED_CLUSTERS, POLICY_CLUSTERS, GATEWAY_CLUSTERS, GATEWAY_RESOURCES, LISTENER_SECRETS),
    ENDPOINT: (ASSIGNMENTS, SHARED_ASSIGNMENTS, POLICY_ASSIGNMENTS, GATEWAY_CLUSTERS),
    SECRET: (LISTENER_SECRETS, CLUSTERS, SHARED_CLUSTERS, POLICY_CLUSTERS, GATEWAY_CLUSTERS, GATEWAY_RESOURCES),
}
ALL: tuple[Collection[Need, Rendered], ...] = (
    CLUSTERS,
    ASSIGNMENTS,
    SHARED_CLUSTERS,
    SHARED_ASSIGNMENTS,
    POLICY_CLUSTERS,
    POLICY_ASSIGNMENTS,
    LISTENER_SECRETS,
    GATEWAY_CLUSTERS,
    GATEWAY_RESOURCES,
    LISTENER_RESOURCES,
    ROUTE_RESOURCES,
)
FROM_SHARDS: tuple[Collection[Any, Any], ...] = (
    ROUTE_OUTPUTS,
    CLUSTERS,
    ASSIGNMENTS,
    SHARED_CLUSTERS,
    SHARED_ASSIGNMENTS,
    POLICY_CLUSTERS,
    POLICY_ASSIGNMENTS,
    LISTENER_SECRETS,
    GATEWAY_CLUSTERS,
    GATEWAY_RESOURCES,
)
"""Those whose members are shards: their failures name the shard that failed."""
