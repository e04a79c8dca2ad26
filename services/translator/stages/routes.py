"""One route object at the listeners that take it: what of it becomes shards, and what it uses there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from services.translator.stages.attach import At, attachments
from services.translator.stages.rules import Rules, rules
from services.translator.stages.tables import HTTP_ROUTES
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.route.redirect.translate import at_port
from shared.incremental import Db
from shared.ir.http import HttpRoute, HttpRouteShard, RouteOrder
from shared.ir.shards import http_route_key

KIND_RANK = {"HTTPRoute": 0, "GRPCRoute": 1}


def route_shards(db: Db, route: ObjectRef) -> Mapping[tuple[GatewayRef, str], HttpRouteShard]:
    """What one route gives each listener. A rule that is not accepted at all gives nothing."""
    row = db.get(HTTP_ROUTES, route)
    if row is None:
        return {}
    found: dict[tuple[GatewayRef, str], list[HttpRoute]] = {}
    for each in attachments(db, route):
        made = rules(db, route, each.gateway)
        for at in each.at:
            if at.point.ready and at.hosts:
                key = (each.fleet, http_route_key(at.point.key, route.kind, route.namespace, route.name))
                found.setdefault(key, []).extend(_at(at, made))
    order = RouteOrder(kind_rank=KIND_RANK[route.kind], created=row.metadata.creation_timestamp, namespace=route.namespace, name=route.name)
    return {key: HttpRouteShard(order=order, routes=tuple(routes)) for key, routes in found.items()}


def _at(at: At, made: Rules) -> Iterator[HttpRoute]:
    for host in at.hosts:
        suffix = host.replace(".", "_")
        for route in made.routes:
            redirect = at_port(route.redirect, at.point.port) if route.redirect is not None else None
            yield replace(route, name=f"{route.name}/{suffix}", hostname=host, redirect=redirect)


def attached(db: Db, route: ObjectRef) -> Mapping[tuple[ObjectRef, str], bool]:
    """The listeners (Gateway, name) that count this route as attached: valid or not, but with a name in common."""
    return {(each.gateway, at.point.name): True for each in attachments(db, route) for at in each.at if at.hosts}


def used_endpoints(db: Db, route: ObjectRef) -> Mapping[tuple[GatewayRef, str], bool]:
    """The endpoints shards that each fleet needs for this route."""
    return {
        (each.fleet, key): True
        for each in attachments(db, route)
        if any(at.point.ready and at.hosts for at in each.at)
        for key in rules(db, route, each.gateway).endpoints
    }
