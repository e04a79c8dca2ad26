"""One route object at the listeners that take it: what of it becomes shards, and what it uses there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from services.translator.stages.attach import At, attachments
from services.translator.stages.extension_policies import of_route
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.policies.precedence import at_route
from services.translator.stages.policies.ways import Place, ways
from services.translator.stages.rules import Rules, rules
from services.translator.stages.tables import ROUTES
from shared.api.routes import StreamRoute
from shared.core.refs import GatewayRef, ObjectRef
from shared.features.route.redirect.translate import at_port
from shared.incremental import AnyOf, Collection, Count, Db, fold
from shared.ir.destination import BackendCluster, Destination
from shared.ir.http import HttpRoute as HttpRouteIr
from shared.ir.http import HttpRouteShard, RouteOrder
from shared.ir.shards import cluster_key, http_route_key, tcp_route_key, udp_route_key
from shared.ir.tcp import TcpRoute, TcpRouteShard, TcpTls, TlsInspector
from shared.ir.udp import UdpRoute, UdpRouteShard

KIND_RANK = {"HTTPRoute": 0, "GRPCRoute": 1, "TLSRoute": 0, "TCPRoute": 1, "UDPRoute": 0}
Shard = HttpRouteShard | TcpRouteShard | UdpRouteShard


def route_shards(db: Db, route: ObjectRef) -> Mapping[tuple[GatewayRef, str], Shard]:
    """What one route gives each listener. A rule that is not accepted at all gives nothing."""
    row = db.get(ROUTES, route)
    if row is None:
        return {}
    order = RouteOrder(kind_rank=KIND_RANK[route.kind], created=row.metadata.creation_timestamp, namespace=route.namespace, name=route.name)
    return _stream_shards(db, route, row, order) if isinstance(row, StreamRoute) else _http_shards(db, route, order)


def _http_shards(db: Db, route: ObjectRef, order: RouteOrder) -> Mapping[tuple[GatewayRef, str], Shard]:
    found: dict[tuple[GatewayRef, str], list[HttpRouteIr]] = {}
    for each in attachments(db, route):
        if _left_out(db, route, each.gateway):
            continue
        for at in each.at:
            if at.point.ready and at.hosts:
                made = rules_at(db, route, each.gateway, at)
                key = (each.fleet, http_route_key(at.point.key, route.kind, route.namespace, route.name))
                found.setdefault(key, []).extend(_at(db, route, each.gateway, at, made))
    return {key: HttpRouteShard(order=order, routes=tuple(routes)) for key, routes in found.items()}


def rules_at(db: Db, route: ObjectRef, gateway: ObjectRef, at: At) -> Rules:
    """A route's rules at one listener."""
    row = db.get(ROUTES, route)
    names = tuple(rule.name or "" for rule in row.spec.rules) if row is not None else ()
    special = ways(db, route, names, gateway, Place(at.point.owner, at.point.name))
    return rules(db, route, gateway, special) if special else rules(db, route, gateway)


def _at(db: Db, ref: ObjectRef, gateway: ObjectRef, at: At, made: Rules) -> Iterator[HttpRouteIr]:
    names = {route.metadata.section_name for route in made.routes if route.metadata is not None}
    policies = {name: at_route(db, ref, name or None, at.point.owner, at.point.name, gateway) for name in names}
    extensions = {name: of_route(db, ref, name or None) for name in names}
    for host in at.hosts:
        suffix = host.replace(".", "_")
        for route in made.routes:
            redirect = at_port(route.redirect, at.point.port) if route.redirect is not None else None
            section = route.metadata.section_name if route.metadata is not None else None
            own = policies[section] if section is not None else None
            handed = extensions[section] if section is not None else ()
            name = f"{route.name}/{suffix}"
            yield replace(route, name=name, hostname=host, redirect=redirect, policies=own, extension_server_policies=handed)


def _stream_shards(db: Db, route: ObjectRef, row: StreamRoute, order: RouteOrder) -> Mapping[tuple[GatewayRef, str], Shard]:
    found: dict[tuple[GatewayRef, str], Shard] = {}
    name = f"{route.kind.lower()}/{route.namespace}/{route.name}"
    for each in attachments(db, route):
        for at in each.at:
            destination = rules_at(db, route, each.gateway, at).destination
            if destination is None or not at.point.ready or not at.hosts or unresolvable(at, destination):
                continue
            policies = at_route(db, route, _rule_name(row), at.point.owner, at.point.name, each.gateway)
            if route.kind == "UDPRoute":
                key = udp_route_key(at.point.key, route.kind, route.namespace, route.name)
                found[each.fleet, key] = UdpRouteShard(order=order, route=UdpRoute(name=name, destination=destination, policies=policies))
                continue
            key = tcp_route_key(at.point.key, route.kind, route.namespace, route.name)
            meta = resource_metadata(route.kind, row.metadata)
            made = TcpRoute(name=name, tls=_inspection(route, at), destination=destination, metadata=meta, policies=policies)
            found[each.fleet, key] = TcpRouteShard(order=order, route=made)
    return found


def _rule_name(row: StreamRoute) -> str | None:
    """Connections know no rules but the first."""
    return row.spec.rules[0].name if row.spec.rules else None


def _inspection(route: ObjectRef, at: At) -> TcpTls | None:
    """A TCPRoute has no names of its own: on a listener that terminates TLS for one name it takes that name."""
    if route.kind == "TLSRoute" or (at.point.terminates and at.point.hostname is not None):
        return TcpTls(inspector=TlsInspector(snis=at.hosts))
    return None


def unresolvable(at: At, destination: Destination) -> bool:
    """A dynamic resolver goes by the name that the client's TLS asks for, so TLS must pass through."""
    return at.point.terminates and any(s.is_dynamic_resolver for s in destination.settings)


def _left_out(db: Db, route: ObjectRef, gateway: ObjectRef) -> bool:
    """Whether a route without any accepted rule counts nowhere. An HTTPRoute still answers: its rules are errors to be seen."""
    return route.kind != "HTTPRoute" and rules(db, route, gateway).refused


def attached(db: Db, route: ObjectRef) -> Mapping[tuple[ObjectRef, str], bool]:
    """The listeners (Gateway, key) that count this route as attached: valid or not, but with a name in common.

    The value says whether the route speaks gRPC.
    """
    is_grpc = route.kind == "GRPCRoute"
    return {
        (each.gateway, at.point.key): is_grpc
        for each in attachments(db, route)
        if not _left_out(db, route, each.gateway)
        for at in each.at
        if at.hosts
    }


ATTACHED: Collection[tuple[ObjectRef, str], bool] = Collection("attached", source=ROUTES, fn=attached)
"""Routes by the listener that takes them."""
ATTACHED_ROUTES = fold(ATTACHED, "attached_routes", Count())
SPEAKS_GRPC = fold(ATTACHED, "speaks_grpc", AnyOf())
"""Whether any route of a listener is a GRPCRoute: its listener needs filters for that."""


def used_shards(db: Db, route: ObjectRef) -> Mapping[tuple[GatewayRef, str], BackendCluster | None]:
    """The shards that each fleet needs for this route and others: of clusters that routes share, of endpoints and objects (None)."""
    found: dict[tuple[GatewayRef, str], BackendCluster | None] = {}
    for each in attachments(db, route):
        used = (rules_at(db, route, each.gateway, at) for at in each.at if at.point.ready and at.hosts)
        for made in {id(each): each for each in used}.values():
            found.update(((each.fleet, key), None) for key in made.endpoints)
            found.update(((each.fleet, key), None) for key in made.extensions)
            found.update(((each.fleet, cluster_key(cluster.name)), cluster) for cluster in made.clusters)
    return found
