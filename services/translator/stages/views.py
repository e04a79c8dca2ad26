"""A Gateway as its routes see it. A collection and not a query: a Gateway that changes otherwise must not disturb 10,000 routes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.translator.stages.gateways import served
from services.translator.stages.judged import listeners_of
from services.translator.stages.policies.says import of_gateway
from services.translator.stages.proxies import effective, fleet_of
from services.translator.stages.tables import GATEWAYS
from shared.api.envoy import MergeBackends
from shared.api.gateway import GROUP, RouteNamespaces
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db


class AttachPoint(msgspec.Struct, frozen=True):
    """What a route needs to know of a listener, which a Gateway or ListenerSet owns.

    Certificates are not part of it, so that a new one costs no route anything. `terminates`: TLS ends here, and does not pass through.
    """

    name: str
    owner: ObjectRef
    key: str
    port: int
    hostname: str | None
    kinds: tuple[str, ...]
    namespaces: RouteNamespaces
    ready: bool
    terminates: bool = False


class GatewayView(msgspec.Struct, frozen=True):
    """`by_address`: to a Service's cluster address instead of its endpoints; `routes_by_address`: so do requests of routes, which a traffic
    policy can decide. `stat_name` is a pattern."""

    fleet: GatewayRef
    points: tuple[AttachPoint, ...]
    by_address: bool
    routes_by_address: bool
    stat_name: str | None
    merge_backends: MergeBackends | None = None


def _view(db: Db, gateway: ObjectRef) -> Mapping[ObjectRef, GatewayView]:
    if not served(db, gateway):
        return {}
    spec = effective(db, gateway).spec
    metrics = spec.telemetry.metrics
    points = tuple(
        AttachPoint(
            name=each.spec.name,
            owner=each.owner,
            key=each.key,
            port=each.spec.port,
            hostname=each.spec.hostname,
            kinds=tuple(k.kind for k in each.supported_kinds if k.group in (None, GROUP)),
            namespaces=each.spec.allowed_routes.namespaces,
            ready=each.ready,
            terminates=each.spec.tls is not None and each.spec.tls.mode != "Passthrough" and bool(each.spec.tls.certificate_refs),
        )
        for each in listeners_of(db, gateway)
    )
    stat_name = metrics.cluster_stat_name if metrics is not None else None
    by_address, wished = spec.routing_type == "Service", of_gateway(db, gateway).by_address
    return {
        gateway: GatewayView(
            fleet=fleet_of(db, gateway),
            points=points,
            by_address=by_address,
            routes_by_address=by_address if wished is None else wished,
            stat_name=stat_name,
            merge_backends=spec.merge_backends,
        )
    }


VIEWS: Collection[ObjectRef, GatewayView] = Collection("gateway_views", source=GATEWAYS, fn=_view)


def view(db: Db, gateway: ObjectRef) -> GatewayView | None:
    """None for a Gateway that is not ours or cannot be served."""
    return db.group(VIEWS, gateway).get(gateway)
