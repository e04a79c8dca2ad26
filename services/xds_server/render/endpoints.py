"""ClusterLoadAssignments: one locality for each setting, or one for each zone where traffic should stay in its zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.xds_server.render.destinations import ClusterPlan, tls_match
from shared.features.parts.xds_values import given, metadata, wrapped
from shared.features.traffic.health_check import xds as health_check
from shared.features.traffic.health_check.ir import HealthCheck
from shared.ir.destination import DestinationSetting, Endpoint
from shared.xds.message import Fields, struct


def assignment(plan: ClusterPlan) -> Fields:
    """ClusterLoadAssignment of a plan whose settings hold their endpoints."""
    localities: list[Fields] = []
    check, balancer = plan.traffic.health_check, plan.traffic.load_balancer
    weights = {z.zone: z.weight for z in balancer.weighted_zones} if balancer is not None else {}
    zones = plan.prefer_local or bool(weights) or (balancer is not None and balancer.prefer_local is not None)
    for at, setting in enumerate(plan.settings):
        match = tls_match(plan.name, at) if setting.tls is not None else None
        if setting.prefer_local is not None or zones:
            localities += _by_zone(setting, match, check, weights)
        else:
            localities.append(_whole(setting, match, check))
    return {"cluster_name": plan.name, "endpoints": localities}


def addressed(plan: ClusterPlan) -> bool:
    """Whether every endpoint has an address; Envoy refuses a cluster in which one has none."""
    return all(e.host or e.path for s in plan.settings for e in s.endpoints)


def _whole(setting: DestinationSetting, match: str | None, check: HealthCheck | None) -> Fields:
    return given(
        {
            "locality": {"region": setting.name},
            "lb_endpoints": [_endpoint(e, match, check) for e in setting.endpoints],
            # Envoy refuses a weight of 0; a locality without one gets nothing
            "load_balancing_weight": wrapped(1 if setting.weight is None else setting.weight) if setting.weight != 0 else None,
            "priority": setting.priority,
            "metadata": metadata(setting.metadata),
        }
    )


def _by_zone(setting: DestinationSetting, match: str | None, check: HealthCheck | None, weights: Mapping[str, int]) -> Iterable[Fields]:
    """A locality a zone; a zone without a weight of its own weighs 1 where some have one."""
    zones: dict[str, list[Fields]] = {}
    for endpoint in setting.endpoints:
        zones.setdefault(endpoint.zone or "", []).append(_endpoint(endpoint, match, check))
    for zone in sorted(zones):
        yield given(
            {
                "locality": {"zone": zone},
                "lb_endpoints": zones[zone],
                "load_balancing_weight": wrapped(weights.get(zone, 1)) if weights else None,
                "priority": setting.priority,
                "metadata": metadata(setting.metadata),
            }
        )


def _endpoint(endpoint: Endpoint, match: str | None, check: HealthCheck | None) -> Fields:
    address: Fields = {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}
    if endpoint.path is not None:
        address = {"pipe": {"path": endpoint.path}}
    return given(
        {
            "endpoint": given(
                {"address": address, "hostname": endpoint.hostname, "health_check_config": health_check.on_endpoint(check, endpoint)}
            ),
            "load_balancing_weight": wrapped(1),
            "health_status": "DRAINING" if endpoint.draining else None,
            "metadata": {"filter_metadata": {"envoy.transport_socket_match": struct({"name": match})}} if match is not None else None,
        }
    )
