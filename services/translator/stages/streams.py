"""TLSRoutes, TCPRoutes and UDPRoutes: all their backends are one destination; what cannot be used is left out of it."""

from __future__ import annotations

from msgspec.structs import replace

from services.translator.stages.backends import named, upstream
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.policies.ways import Way
from services.translator.stages.shared_clusters import Sharing, merges, shared
from shared.api.routes import BackendRef, StreamRoute
from shared.core.refs import ObjectRef
from shared.features.parts.problem import Problem, not_accepted, unresolved
from shared.incremental import Db
from shared.ir.destination import BackendCluster, Destination, DestinationSetting

_ONE_RULE = ("TCPRoute", "UDPRoute")
"""Kinds whose rules match everything, so that a second one could never be reached."""


def invalid_rules(route: ObjectRef, row: StreamRoute) -> Problem | None:
    """Why none of its rules can be accepted."""
    if route.kind in _ONE_RULE and len(row.spec.rules) != 1:
        return not_accepted("One and only one rule is supported", "InvalidRule")
    return None


def _refs(row: StreamRoute) -> list[BackendRef]:
    return [ref for rule in row.spec.rules for ref in rule.backend_refs]


def _may_share(route: ObjectRef, row: StreamRoute) -> bool:
    """Connections cannot be split over clusters, so a route shares one only where it has one backend.

    A TLSRoute's rules are one pool, in which the same backend may be named again.
    """
    refs = _refs(row)
    if route.kind != "TLSRoute":
        return len(refs) == 1
    return len({(r.group, r.kind, r.namespace or route.namespace, r.name, r.port) for r in refs}) == 1


def destination(
    db: Db, route: ObjectRef, row: StreamRoute, gateway: ObjectRef, ways: tuple[Way, ...] = ()
) -> tuple[Destination, tuple[Problem, ...], tuple[BackendCluster, ...]]:
    """Where a route's connections go, what was wrong with its backends, and the clusters that it shares."""
    name = f"{route.kind.lower()}/{route.namespace}/{route.name}/rule/-1"
    settings: list[DestinationSetting] = []
    problems: list[Problem] = []
    clusters: dict[str, BackendCluster] = {}
    may_share = merges(db, gateway) and _may_share(route, row)
    for n, rule in enumerate(row.spec.rules):
        way = ways[n] if ways else Way()
        for i, ref in enumerate(rule.backend_refs):
            found = upstream(db, ref, route.namespace, route.kind, gateway, way.by_address)
            if found.problem is not None:
                problems.append(replace(found.problem, message=f"backendRef {i}: {found.problem.message}"))
            elif found.setting is not None and ref.weight:
                setting = named(found.setting, f"{name}/backend/{i}", ref.weight)
                sharing = shared(db, gateway, ref, route.namespace, setting) if may_share and not way.own else Sharing(setting)
                settings.append(sharing.setting)
                if sharing.cluster is not None:
                    clusters[sharing.cluster.name] = sharing.cluster
    if len(settings) > 1 and any(s.is_dynamic_resolver for s in settings):
        problems.append(unresolved("dynamic resolver is not supported for multiple backendRefs", "InvalidBackendRef"))
        settings = []
    section = row.spec.rules[0].name if route.kind in _ONE_RULE else None
    meta = resource_metadata(route.kind, row.metadata, section or "")
    return Destination(name=name, settings=tuple(settings), metadata=meta), tuple(problems), tuple(clusters.values())
