"""From shards to resources as an incremental computation: one edited route renders that route, and joins what it stands in.

All functions here are pure; what they read is recorded by the Db, so only what a change reaches runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from services.xds_server.render import destinations, endpoints, listeners, routes
from services.xds_server.render.destinations import ClusterPlan
from services.xds_server.render.parts import MODULUS, JoinParts, Only, Part, Parts
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
from shared.ir.base import IR
from shared.ir.destination import Destination, DestinationSetting, Endpoint, EndpointsShard
from shared.ir.gateway import AccessLog, GatewayShard, Metrics
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard
from shared.ir.order import match_key, order_key
from shared.ir.shards import GATEWAY
from shared.xds.message import BadMessage, Fields, encode

# Envoy's own limit, and what it is raised to where some direct response is larger
DIRECT_RESPONSE_LIMIT = 4096
LARGER_DIRECT_RESPONSE_LIMIT = 1 << 20
_VIRTUAL_HOSTS_FIELD = 2
_ROUTES_FIELD = 3
_VIRTUAL_HOST_MESSAGE = "envoy.config.route.v3.VirtualHost"
_ROUTE_ENTRY_MESSAGE = "envoy.config.route.v3.Route"

GATEWAYS: Table[str, GatewayShard] = Table("gateway")
LISTENERS: Table[str, HttpListener] = Table("listeners")
ROUTES: Table[str, HttpRouteShard] = Table("routes")
ENDPOINTS: Table[str, EndpointsShard] = Table("endpoints")
TABLES: dict[type[IR], Table[str, Any]] = {
    GatewayShard: GATEWAYS,
    HttpListener: LISTENERS,
    HttpRouteShard: ROUTES,
    EndpointsShard: ENDPOINTS,
}
OPTIONS: Table[str, Any] = Table("options")
OPEN_SECRET = "open_secret"
VALIDATE = "validate"

Port = tuple[str, int]
Outputs = Mapping[Need, Rendered]


# what belongs to the Gateway as a whole


@query
def positions(db: Db) -> dict[str, int]:
    """Listener key -> place in the Gateway's order; a listener shard that the Gateway does not name is not served."""
    gateway = db.get(GATEWAYS, GATEWAY)
    return {k: i for i, k in enumerate(gateway.http_listeners)} if gateway is not None else {}


@query
def gateway_metrics(db: Db) -> Metrics | None:
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.metrics if gateway is not None else None


@query
def gateway_access_log(db: Db) -> AccessLog | None:
    """The access log without the entries that cannot be rendered: a listener is worth more than its log."""
    gateway = db.get(GATEWAYS, GATEWAY)
    log = gateway.access_log if gateway is not None else None
    return replace(log, text=tuple(t for t in log.text if t.format is not None)) if log is not None else None


@query
def gateway_faults(db: Db) -> tuple[str, ...]:
    """What is wrong with the Gateway's own shard."""
    gateway = db.get(GATEWAYS, GATEWAY)
    log = gateway.access_log if gateway is not None else None
    return tuple(f"access log {t.path}: no format" for t in log.text if t.format is None) if log is not None else ()


def opener(db: Db) -> OpenSecret:
    found: OpenSecret | None = db.get(OPTIONS, OPEN_SECRET)
    if found is None:
        raise Unrenderable("no key to open secrets with")
    return found


# routes and virtual hosts


class RouteKey(NamedTuple):
    """What a value of ROUTE_OUTPUTS is: routes of a `host` of a listener, a `filter` that a listener needs, a shard's `problem`."""

    kind: Literal["host", "filter", "problem"]
    of: str
    name: str = ""


RouteValue = Parts | Fields | tuple[str, ...]


PRESENT = Endpoint(host="present")
"""Stands for endpoints where it matters only that there are some."""


@query
def shape(db: Db, ref: str) -> EndpointsShard | None:
    """What a route must know of a backend: what kind of addresses, and whether there are any. The addresses stay out of it."""
    shard = db.get(ENDPOINTS, ref)
    if shard is None:
        return None
    return EndpointsShard(address_type=shard.address_type, endpoints=(PRESENT,) if shard.endpoints else ())


def whole(db: Db, ref: str) -> EndpointsShard | None:
    return db.get(ENDPOINTS, ref)


def resolved(db: Db, route: HttpRoute) -> HttpRoute:
    """The route with its destinations' shapes; settings that bring their endpoints along were judged by who wrote them."""
    settings = route.destination.settings if route.destination is not None else ()
    if any(s.endpoints for s in settings):
        return route
    return resolved_route(route, lambda ref: shape(db, ref))


@query
def preserves_order(db: Db, listener_key: str) -> bool:
    listener = db.get(LISTENERS, listener_key)
    return listener is not None and listener.preserve_route_order


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
    try:
        stand_in = routes.route(refused(route))
    except Unrenderable:
        return None, fault
    if any(routes.faults(stand_in)):
        return None, fault
    return encode(_ROUTE_ENTRY_MESSAGE, stand_in), fault


def route_outputs(db: Db, key: str) -> Mapping[RouteKey, RouteValue]:
    shard = db.get(ROUTES, key)
    if shard is None:
        return {}
    validate = bool(db.get(OPTIONS, VALIDATE))
    listener = listener_of(key)
    by_age = order_key(shard.order)
    written = preserves_order(db, listener)
    hosts: dict[str, list[Part]] = {}
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
        hosts.setdefault(each.hostname, []).append(part)
    out: dict[RouteKey, RouteValue] = {RouteKey("host", listener, host): Parts(parts) for host, parts in hosts.items()}
    out |= {RouteKey("filter", listener, name): f for name, f in filters.items()}
    if problems:
        out[RouteKey("problem", key)] = tuple(problems)
    return out


ROUTE_OUTPUTS: Collection[RouteKey, Any] = Collection("route_outputs", source=ROUTES, fn=route_outputs)
ROUTES_OF_HOST = fold(ROUTE_OUTPUTS, "joined", Only(Parts, JoinParts()))
FIRST_FILTER = fold(ROUTE_OUTPUTS, "first", Only(dict, MinBy(lambda _: 0)))


@query
def listener_fault(db: Db, key: str) -> str | None:
    """Why a listener cannot be served. Of an HTTPS one Envoy would wait for the secrets for ever, and its port's others with it."""
    listener = db.get(LISTENERS, key)
    if listener is None:
        return None
    if not listener.address:
        return f"listener {listener.name} has no address"
    if listener.tls is None:
        return None
    try:
        listener_secrets(listener.tls, opener(db))
    except Unrenderable as e:
        return str(e)
    return None


def shard_faults(db: Db) -> dict[str, tuple[str, ...]]:
    """Key of a listener's or the Gateway's shard -> what of it is not served, and why."""
    found: dict[str, tuple[str, ...]] = {}
    for key in db.all_keys(LISTENERS):
        if (fault := listener_fault(db, key)) is not None:
            found[key] = (fault,)
    faults = gateway_faults(db)
    return found | ({GATEWAY: faults} if faults else {})


# listeners and route configurations


def port_members(db: Db, key: str) -> Mapping[Port, int]:
    listener = db.get(LISTENERS, key)
    if listener is None:
        return {}
    at = positions(db).get(key)
    return {} if at is None or listener_fault(db, key) is not None else {(listener.address, listener.port): at}


PORTS: Collection[Port, int] = Collection("ports", source=LISTENERS, fn=port_members)


@query
def port_listeners(db: Db, port: Port) -> tuple[str, ...]:
    """Keys of the listeners of one address and port, in the Gateway's order."""
    group = db.group(PORTS, port)
    return tuple(sorted(group, key=lambda k: group[k]))


def listener_at(db: Db, key: str) -> HttpListener:
    found = db.get(LISTENERS, key)
    if found is None:
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
    listener = db.get(LISTENERS, listener_key)
    if at is None or listener is None or listener_fault(db, listener_key) is not None:
        return None
    keys = port_listeners(db, (listener.address, listener.port))
    names = listeners.route_config_names([listener_at(db, k) for k in keys])
    metrics = gateway_metrics(db)
    head = HttpListener(name=listener.name, metadata=listener.metadata)
    return HostPlace(dict(zip(keys, names, strict=True))[listener_key], at, head, metrics is not None and metrics.enable_virtual_host_stats)


def virtual_hosts(db: Db, at: RouteKey) -> Mapping[str, Parts]:
    if at.kind != "host":
        return {}
    listener_key, hostname = at.of, at.name
    place = host_place(db, listener_key)
    if place is None:
        return {}
    inside = db.fold(ROUTES_OF_HOST, at)
    head = encode(_VIRTUAL_HOST_MESSAGE, routes.virtual_host(place.listener, hostname, place.stats))
    order = (place.position, inside.first, hostname)
    mark = (digest(head + repr(order).encode()) + inside.digest) % MODULUS
    data = framed(_VIRTUAL_HOSTS_FIELD, b"".join((head, *inside.data())))
    return {place.route_config: Parts((Part(order, data, mark, inside.largest_body),))}


HOSTS: Collection[str, Parts] = Collection("virtual_hosts", source=ROUTE_OUTPUTS, fn=virtual_hosts)
HOSTS_OF_CONFIG = fold(HOSTS, "joined", JoinParts())


def route_configurations(db: Db, name: str) -> Outputs:
    inside = db.fold(HOSTS_OF_CONFIG, name)
    fields: Fields = {"name": name, "ignore_port_in_host_matching": True}
    if inside.largest_body:
        limit = max(inside.largest_body, LARGER_DIRECT_RESPONSE_LIMIT)
        fields["max_direct_response_body_size_bytes"] = {"value": limit}
    head = encode(ROUTE_MESSAGE, fields)
    version = (digest(head) + inside.digest) % MODULUS
    shared = any(len(keys) > 1 for keys in db.group(ROUTE_CONFIGS, name).values())
    # Envoy refuses a domain that stands in two virtual hosts: of listeners that share a port the first to name it has it
    hosts = inside.first_of_each(lambda order: order[2]) if shared and db.get(OPTIONS, VALIDATE) else inside.data()
    return {(ROUTE, name): Rendered(f"{version:032x}", b"".join((head, *hosts)))}


ROUTE_RESOURCES: Collection[Need, Rendered] = Collection("route_resources", source=ROUTE_CONFIGS, fn=route_configurations)


def xds_listeners(db: Db, port: Port) -> Outputs:
    keys = port_listeners(db, port)
    members = [listener_at(db, k) for k in keys]
    filters: list[dict[str, Fields]] = []
    for key in keys:
        found: dict[str, Fields | None] = {name: db.fold(FIRST_FILTER, RouteKey("filter", key, name)) for name in listeners.FILTER_ORDER}
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


Plans = dict[str, tuple[ClusterPlan, dict[str, str]]]
"""Cluster name -> plan with shapes in place of endpoints, and where the endpoints of its settings stand."""


def plans_of_route(db: Db, key: str) -> Plans:
    """The clusters that one route shard needs."""
    shard = db.get(ROUTES, key)
    out: Plans = {}
    for each in shard.routes if shard is not None else ():
        if each.destination is None and not each.mirrors:
            continue
        known = refs(each.destination)
        for mirror in each.mirrors:
            known |= refs(mirror.destination)
        for plan in route_plans(resolved(db, each)):
            out.setdefault(plan.name, (plan, known))
    return out


def plans_of_gateway(db: Db, key: str) -> Plans:
    """The clusters that a Gateway has for itself."""
    gateway = db.get(GATEWAYS, key)
    resources = gateway.global_resources if gateway is not None else None
    service = resources.proxy_service_cluster if resources is not None else None
    if service is None:
        return {}
    return {service.name: (service_plan(joined(service, lambda ref: shape(db, ref))), refs(service))}


def with_endpoints(db: Db, plan: ClusterPlan, known: dict[str, str]) -> ClusterPlan:
    """The plan with its settings' endpoints, read now: only who needs addresses depends on them."""

    def fill(setting: DestinationSetting) -> DestinationSetting:
        ref = known.get(setting.name)
        return setting if ref is None else joined_setting(replace(setting, endpoints_ref=ref), lambda r: whole(db, r))

    return plan._replace(settings=tuple(fill(s) for s in plan.settings))


def clusters(db: Db, plans: Plans) -> dict[Need, Rendered]:
    """Clusters, and the secrets that they name."""
    out: dict[Need, Rendered] = {}
    metrics = gateway_metrics(db)
    for name, (plan, known) in plans.items():
        if not endpoints.addressed(plan):
            continue
        assignment = endpoints.assignment(with_endpoints(db, plan, known)) if destinations.is_dns(plan) else None
        out[CLUSTER, name] = destinations.cluster(plan, metrics, assignment)
        for setting in plan.settings:
            if setting.tls is not None:
                out |= {(SECRET, n): s for n, s in setting_secrets(setting, opener(db)).items()}
    return out


def assignments(db: Db, plans: Plans) -> Outputs:
    """Endpoints of the clusters that get them by EDS."""
    return {
        (ENDPOINT, name): rendered(ENDPOINT, endpoints.assignment(with_endpoints(db, plan, known)))
        for name, (plan, known) in plans.items()
        if destinations.uses_eds(plan) and endpoints.addressed(plan)
    }


def route_clusters(db: Db, key: str) -> Outputs:
    return clusters(db, plans_of_route(db, key))


def route_assignments(db: Db, key: str) -> Outputs:
    return assignments(db, plans_of_route(db, key))


def listener_secret_resources(db: Db, key: str) -> Outputs:
    listener = db.get(LISTENERS, key)
    if listener is None or listener.tls is None or key not in positions(db) or listener_fault(db, key) is not None:
        return {}
    return {(SECRET, n): s for n, s in listener_secrets(listener.tls, opener(db)).items()}


def gateway_resources(db: Db, key: str) -> Outputs:
    plans = plans_of_gateway(db, key)
    out = clusters(db, plans) | dict(assignments(db, plans))
    gateway = db.get(GATEWAYS, key)
    if gateway is not None and gateway.ready_listener is not None:
        name, ready = listeners.ready_listener(gateway.ready_listener)
        out[LISTENER, name] = ready
    if gateway is not None and gateway.global_resources is not None and gateway.global_resources.envoy_client_certificate is not None:
        certificate = gateway.global_resources.envoy_client_certificate
        out[SECRET, certificate.name] = certificate_secret(certificate, opener(db))
    return out


CLUSTERS: Collection[Need, Rendered] = Collection("clusters", source=ROUTES, fn=route_clusters)
ASSIGNMENTS: Collection[Need, Rendered] = Collection("assignments", source=ROUTES, fn=route_assignments)
LISTENER_SECRETS: Collection[Need, Rendered] = Collection("listener_secrets", source=LISTENERS, fn=listener_secret_resources)
GATEWAY_RESOURCES: Collection[Need, Rendered] = Collection("gateway_resources", source=GATEWAYS, fn=gateway_resources)

# Where two give the same resource (a certificate used towards clients and backends), the first of these goes.
BY_TYPE: Mapping[str, tuple[Collection[Need, Rendered], ...]] = {
    LISTENER: (LISTENER_RESOURCES, GATEWAY_RESOURCES),
    ROUTE: (ROUTE_RESOURCES,),
    CLUSTER: (CLUSTERS, GATEWAY_RESOURCES),
    ENDPOINT: (ASSIGNMENTS, GATEWAY_RESOURCES),
    SECRET: (LISTENER_SECRETS, CLUSTERS, GATEWAY_RESOURCES),
}
ALL: tuple[Collection[Need, Rendered], ...] = (
    CLUSTERS,
    ASSIGNMENTS,
    LISTENER_SECRETS,
    GATEWAY_RESOURCES,
    LISTENER_RESOURCES,
    ROUTE_RESOURCES,
)
FROM_SHARDS: tuple[Collection[Any, Any], ...] = (ROUTE_OUTPUTS, CLUSTERS, ASSIGNMENTS, LISTENER_SECRETS, GATEWAY_RESOURCES)
"""Those whose members are shards: their failures name the shard that failed."""
