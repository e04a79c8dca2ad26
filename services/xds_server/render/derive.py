"""From shards to resources as an incremental computation: one edited route renders that route, and joins what it stands in.

All functions here are pure; what they read is recorded by the Db, so only what a change reaches runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from services.xds_server.render import destinations, endpoints, listeners, routes
from services.xds_server.render.destinations import ClusterPlan
from services.xds_server.render.parts import MODULUS, JoinParts, Part
from services.xds_server.render.tls import OpenSecret, certificate_secret, listener_secrets, setting_secrets
from services.xds_server.render.types import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    ROUTE_MESSAGE,
    SECRET,
    Need,
    Rendered,
    digest,
    framed,
    rendered,
)
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.direct_response.xds import body
from shared.incremental import Collection, Db, MinBy, Table, fold, query
from shared.ir.assemble import joined, joined_setting, resolved_route
from shared.ir.destination import Destination, DestinationSetting, Endpoint, EndpointsShard
from shared.ir.gateway import GatewayShard, Metrics
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard
from shared.ir.order import match_key, order_key
from shared.ir.shards import GATEWAY, Shard
from shared.xds.message import BadMessage, Fields, encode

# Envoy's own limit, and what it is raised to where some direct response is larger
DIRECT_RESPONSE_LIMIT = 4096
LARGER_DIRECT_RESPONSE_LIMIT = 1 << 20
_VIRTUAL_HOSTS_FIELD = 2
_ROUTES_FIELD = 3
_VIRTUAL_HOST_MESSAGE = "envoy.config.route.v3.VirtualHost"
_ROUTE_ENTRY_MESSAGE = "envoy.config.route.v3.Route"

SHARDS: Table[str, Shard] = Table("shards")
OPTIONS: Table[str, Any] = Table("options")
OPEN_SECRET = "open_secret"
VALIDATE = "validate"

Port = tuple[str, int]
Outputs = Mapping[Need, Rendered]


# what belongs to the Gateway as a whole


@query
def positions(db: Db) -> dict[str, int]:
    """Listener key -> place in the Gateway's order; a listener shard that the Gateway does not name is not served."""
    gateway = db.get(SHARDS, GATEWAY)
    return {k: i for i, k in enumerate(gateway.http_listeners)} if isinstance(gateway, GatewayShard) else {}


@query
def gateway_metrics(db: Db) -> Metrics | None:
    gateway = db.get(SHARDS, GATEWAY)
    return gateway.metrics if isinstance(gateway, GatewayShard) else None


@query
def gateway_access_log(db: Db) -> Any:
    gateway = db.get(SHARDS, GATEWAY)
    return gateway.access_log if isinstance(gateway, GatewayShard) else None


def opener(db: Db) -> OpenSecret:
    found: OpenSecret | None = db.get(OPTIONS, OPEN_SECRET)
    if found is None:
        raise Unrenderable("no key to open secrets with")
    return found


# routes and virtual hosts


class RouteOutput(NamedTuple):
    """What one route shard gives: parts by hostname, HTTP filters that it needs, and what was wrong with it."""

    hosts: dict[str, tuple[Part, ...]]
    filters: dict[str, Fields]
    problems: tuple[str, ...]


@query
def shape(db: Db, ref: str) -> EndpointsShard | None:
    """What a route must know of a backend: what kind of addresses, and whether there are any. The addresses stay out of it."""
    shard = db.get(SHARDS, ref)
    if not isinstance(shard, EndpointsShard):
        return None
    return EndpointsShard(address_type=shard.address_type, endpoints=(Endpoint(),) if shard.endpoints else ())


def whole(db: Db, ref: str) -> EndpointsShard | None:
    shard = db.get(SHARDS, ref)
    return shard if isinstance(shard, EndpointsShard) else None


def resolved(db: Db, route: HttpRoute) -> HttpRoute:
    """The route with its destinations' shapes; settings that bring their endpoints along were judged by who wrote them."""
    settings = route.destination.settings if route.destination is not None else ()
    if any(s.endpoints for s in settings):
        return route
    return resolved_route(route, lambda ref: shape(db, ref))


@query
def preserves_order(db: Db, listener_key: str) -> bool:
    listener = db.get(SHARDS, listener_key)
    return isinstance(listener, HttpListener) and listener.preserve_route_order


def listener_of(route_key: str) -> str:
    """The key of the listener shard that a route shard's key stands under."""
    return ".".join(route_key.split(".")[:2])


def refused(route: HttpRoute) -> HttpRoute:
    """What stands in for a route that cannot be served: the same match, answered 500."""
    return HttpRoute(
        name=route.name,
        hostname=route.hostname,
        metadata=route.metadata,
        path_match=route.path_match,
        header_matches=route.header_matches,
        query_param_matches=route.query_param_matches,
        cookie_matches=route.cookie_matches,
        direct_response=DirectResponse(status_code=500),
    )


def checked(route: HttpRoute, validate: bool) -> tuple[bytes | None, str | None]:
    """Serialised Route, and what is wrong with it. Where its match cannot stand either, there is no route at all."""
    try:
        fields = routes.route(route)
        fault = next(routes.faults(fields), None) if validate else None
        if fault is None:
            return encode(_ROUTE_ENTRY_MESSAGE, fields), None
    except (Unrenderable, BadMessage) as e:
        fault = str(e)
    stand_in = routes.route(refused(route))
    if any(routes.faults(stand_in)):
        return None, fault
    return encode(_ROUTE_ENTRY_MESSAGE, stand_in), fault


@query
def route_output(db: Db, key: str) -> RouteOutput | None:
    shard = db.get(SHARDS, key)
    if not isinstance(shard, HttpRouteShard):
        return None
    validate = bool(db.get(OPTIONS, VALIDATE))
    by_age = order_key(shard.order)
    written = preserves_order(db, listener_of(key))
    hosts: dict[str, tuple[Part, ...]] = {}
    filters: dict[str, Fields] = {}
    problems: list[str] = []
    for n, each in enumerate(shard.routes):
        route = resolved(db, each)
        data, fault = checked(route, validate)
        if fault is not None:
            problems.append(f"{each.name}: {fault}")
        if data is None:
            continue
        if fault is None:
            filters = routes.filters(route) | filters
        order = ((by_age, n) if written else (match_key(each), by_age, n),)
        size = len(body(route.direct_response)) if fault is None and route.direct_response is not None else 0
        part = Part(order, framed(_ROUTES_FIELD, data), digest(data + repr(order).encode()), size if size > DIRECT_RESPONSE_LIMIT else 0)
        hosts[each.hostname] = (*hosts.get(each.hostname, ()), part)
    return RouteOutput(hosts, filters, tuple(problems))


def route_parts(db: Db, key: str) -> Mapping[tuple[str, str], tuple[Part, ...]]:
    out = route_output(db, key)
    return {(listener_of(key), host): parts for host, parts in out.hosts.items()} if out is not None else {}


def route_filters(db: Db, key: str) -> Mapping[tuple[str, str], Fields]:
    out = route_output(db, key)
    return {(listener_of(key), name): f for name, f in out.filters.items()} if out is not None else {}


def route_problems(db: Db, key: str) -> Mapping[str, tuple[str, ...]]:
    out = route_output(db, key)
    found = out.problems if out is not None else ()
    fault = listener_fault(db, key)
    if fault is not None:
        found = (*found, fault)
    return {key: found} if found else {}


PARTS: Collection[tuple[str, str], tuple[Part, ...]] = Collection("route_parts", source=SHARDS, fn=route_parts)
ROUTES_OF_HOST = fold(PARTS, "joined", JoinParts())
FILTERS: Collection[tuple[str, str], Fields] = Collection("route_filters", source=SHARDS, fn=route_filters)
FIRST_FILTER = fold(FILTERS, "first", MinBy(lambda _: 0))
PROBLEMS: Collection[str, tuple[str, ...]] = Collection("problems", source=SHARDS, fn=route_problems)


@query
def listener_fault(db: Db, key: str) -> str | None:
    """Why an HTTPS listener cannot be served: Envoy would wait for its secrets for ever, and its port's other chains with it."""
    listener = db.get(SHARDS, key)
    if not isinstance(listener, HttpListener) or listener.tls is None:
        return None
    try:
        listener_secrets(listener.tls, opener(db))
    except Unrenderable as e:
        return str(e)
    return None


# listeners and route configurations


def port_members(db: Db, key: str) -> Mapping[Port, int]:
    listener = db.get(SHARDS, key)
    if not isinstance(listener, HttpListener):
        return {}
    at = positions(db).get(key)
    return {} if at is None or listener_fault(db, key) is not None else {(listener.address, listener.port): at}


PORTS: Collection[Port, int] = Collection("ports", source=SHARDS, fn=port_members)


@query
def port_listeners(db: Db, port: Port) -> tuple[str, ...]:
    """Keys of the listeners of one address and port, in the Gateway's order."""
    group = db.group(PORTS, port)
    return tuple(sorted(group, key=lambda k: group[k]))


def listener_at(db: Db, key: str) -> HttpListener:
    found = db.get(SHARDS, key)
    if not isinstance(found, HttpListener):
        raise LookupError(key)
    return found


def route_config_members(db: Db, port: Port) -> Mapping[str, tuple[str, ...]]:
    """RouteConfiguration name -> its listeners' keys."""
    keys = port_listeners(db, port)
    out: dict[str, tuple[str, ...]] = {}
    for key, name in zip(keys, listeners.route_config_names([listener_at(db, k) for k in keys]), strict=True):
        out[name] = (*out.get(name, ()), key)
    return out


ROUTE_CONFIGS: Collection[str, tuple[str, ...]] = Collection("route_configs", source=PORTS, fn=route_config_members)


class HostPlace(NamedTuple):
    """Where a listener's virtual hosts stand."""

    route_config: str
    position: int
    listener: HttpListener
    stats: bool


@query
def host_place(db: Db, listener_key: str) -> HostPlace | None:
    at = positions(db).get(listener_key)
    listener = db.get(SHARDS, listener_key)
    if at is None or not isinstance(listener, HttpListener) or listener_fault(db, listener_key) is not None:
        return None
    keys = port_listeners(db, (listener.address, listener.port))
    names = listeners.route_config_names([listener_at(db, k) for k in keys])
    metrics = gateway_metrics(db)
    head = HttpListener(name=listener.name, metadata=listener.metadata)
    return HostPlace(dict(zip(keys, names, strict=True))[listener_key], at, head, metrics is not None and metrics.enable_virtual_host_stats)


def virtual_hosts(db: Db, at: tuple[str, str]) -> Mapping[str, tuple[Part, ...]]:
    listener_key, hostname = at
    place = host_place(db, listener_key)
    if place is None:
        return {}
    inside = db.fold(ROUTES_OF_HOST, at)
    head = encode(_VIRTUAL_HOST_MESSAGE, routes.virtual_host(place.listener, hostname, place.stats))
    order = (place.position, inside.first, hostname)
    mark = (digest(head + repr(order).encode()) + inside.digest) % MODULUS
    data = framed(_VIRTUAL_HOSTS_FIELD, b"".join((head, *inside.data())))
    return {place.route_config: (Part(order, data, mark, inside.largest_body),)}


HOSTS: Collection[str, tuple[Part, ...]] = Collection("virtual_hosts", source=PARTS, fn=virtual_hosts)
HOSTS_OF_CONFIG = fold(HOSTS, "joined", JoinParts())


def route_configurations(db: Db, name: str) -> Outputs:
    inside = db.fold(HOSTS_OF_CONFIG, name)
    fields: Fields = {"name": name, "ignore_port_in_host_matching": True}
    if inside.largest_body:
        limit = max(inside.largest_body, LARGER_DIRECT_RESPONSE_LIMIT)
        fields["max_direct_response_body_size_bytes"] = {"value": limit}
    head = encode(ROUTE_MESSAGE, fields)
    version = (digest(head) + inside.digest) % MODULUS
    return {(ROUTE, name): Rendered(f"{version:032x}", b"".join((head, *inside.data())))}


ROUTE_RESOURCES: Collection[Need, Rendered] = Collection("route_resources", source=ROUTE_CONFIGS, fn=route_configurations)


def xds_listeners(db: Db, port: Port) -> Outputs:
    keys = port_listeners(db, port)
    members = [listener_at(db, k) for k in keys]
    filters: list[dict[str, Fields]] = []
    for key in keys:
        found: dict[str, Fields | None] = {name: db.fold(FIRST_FILTER, (key, name)) for name in listeners.FILTER_ORDER}
        filters.append({name: f for name, f in found.items() if f is not None})
    return {(LISTENER, members[0].name): listeners.listener(members, filters, gateway_access_log(db))}


LISTENER_RESOURCES: Collection[Need, Rendered] = Collection("listener_resources", source=PORTS, fn=xds_listeners)


# clusters, endpoints, secrets


def route_plans(route: HttpRoute) -> tuple[ClusterPlan, ...]:
    """All clusters of one resolved route: of its destination, and of its mirrors."""
    out: tuple[ClusterPlan, ...] = ()
    if route.destination is not None:
        out += destinations.plans(route.destination, route.use_client_protocol)
    for mirror in route.mirrors:
        out += (ClusterPlan(mirror.destination.name, mirror.destination.settings, mirror.destination.metadata),)
    return out


def service_plan(destination: Destination) -> ClusterPlan:
    """The cluster that Envoy itself belongs to, by which it knows its own zone."""
    return ClusterPlan(destination.name, destination.settings, destination.metadata, prefer_local=True)


def refs(destination: Destination | None) -> dict[str, str]:
    """Setting name -> key of its endpoints shard."""
    return {s.name: s.endpoints_ref for s in destination.settings if s.endpoints_ref} if destination is not None else {}


def shard_plans(db: Db, key: str) -> dict[str, tuple[ClusterPlan, dict[str, str]]]:
    """Cluster name -> plan with shapes in place of endpoints, and where the endpoints of its settings stand."""
    shard = db.get(SHARDS, key)
    out: dict[str, tuple[ClusterPlan, dict[str, str]]] = {}
    if isinstance(shard, HttpRouteShard):
        for each in shard.routes:
            if each.destination is None and not each.mirrors:
                continue
            known = refs(each.destination)
            for mirror in each.mirrors:
                known |= refs(mirror.destination)
            for plan in route_plans(resolved(db, each)):
                out.setdefault(plan.name, (plan, known))
    elif isinstance(shard, GatewayShard) and shard.global_resources is not None:
        service = shard.global_resources.proxy_service_cluster
        if service is not None:
            out[service.name] = (service_plan(joined(service, lambda ref: shape(db, ref))), refs(service))
    return out


def with_endpoints(db: Db, plan: ClusterPlan, known: dict[str, str]) -> ClusterPlan:
    """The plan with its settings' endpoints, read now: only who needs addresses depends on them."""

    def fill(setting: DestinationSetting) -> DestinationSetting:
        ref = known.get(setting.name)
        return setting if ref is None else joined_setting(replace(setting, endpoints_ref=ref), lambda r: whole(db, r))

    return plan._replace(settings=tuple(fill(s) for s in plan.settings))


def shard_resources(db: Db, key: str) -> Outputs:
    """Clusters and secrets that one shard gives, and the Gateway's ready listener."""
    out: dict[Need, Rendered] = {}
    metrics = gateway_metrics(db)
    for name, (plan, known) in shard_plans(db, key).items():
        assignment = endpoints.assignment(with_endpoints(db, plan, known)) if destinations.is_dns(plan) else None
        out[CLUSTER, name] = destinations.cluster(plan, metrics, assignment)
        for setting in plan.settings:
            if setting.tls is not None:
                out |= {(SECRET, n): s for n, s in setting_secrets(setting, opener(db)).items()}
    shard = db.get(SHARDS, key)
    if isinstance(shard, HttpListener) and shard.tls is not None and key in positions(db) and listener_fault(db, key) is None:
        out |= {(SECRET, n): s for n, s in listener_secrets(shard.tls, opener(db)).items()}
    elif isinstance(shard, GatewayShard):
        if shard.ready_listener is not None:
            name, ready = listeners.ready_listener(shard.ready_listener)
            out[LISTENER, name] = ready
        if shard.global_resources is not None and shard.global_resources.envoy_client_certificate is not None:
            certificate = shard.global_resources.envoy_client_certificate
            out[SECRET, certificate.name] = certificate_secret(certificate, opener(db))
    return out


def shard_endpoints(db: Db, key: str) -> Outputs:
    out: dict[Need, Rendered] = {}
    for name, (plan, known) in shard_plans(db, key).items():
        if destinations.uses_eds(plan):
            out[ENDPOINT, name] = rendered(ENDPOINT, endpoints.assignment(with_endpoints(db, plan, known)))
    return out


RESOURCES: Collection[Need, Rendered] = Collection("shard_resources", source=SHARDS, fn=shard_resources)
LOADS: Collection[Need, Rendered] = Collection("shard_endpoints", source=SHARDS, fn=shard_endpoints)

ALL: tuple[Collection[Need, Rendered], ...] = (RESOURCES, LOADS, LISTENER_RESOURCES, ROUTE_RESOURCES)
