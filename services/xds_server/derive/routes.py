"""Routes, each serialised once: what one route shard gives to virtual hosts, to its listener's filters, and to be complained about."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from services.xds_server.derive.hooks import changed_route
from services.xds_server.derive.tables import (
    LISTENERS,
    OPTIONS,
    POLICIES,
    ROUTES,
    VALIDATE,
    Port,
    gateway_places,
    listener_of,
    listener_policies,
    opener,
    policy,
    policy_of_requests,
    port_of,
    shape,
)
from services.xds_server.render import checks, routes
from services.xds_server.render.parts import JoinParts, Named, Only, Part, Parts, Unite
from services.xds_server.render.routes import USUAL, Ways
from services.xds_server.render.secrets import opened
from services.xds_server.render.tls import credential_secret
from services.xds_server.render.types import (
    digest,
    framed,
)
from shared.features.client.timeout import xds as timeout
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.direct_response.xds import body
from shared.features.security.authorization import places
from shared.features.traffic.rate_limit import service
from shared.incremental import AnyOf, Collection, Db, Pending, fold, query
from shared.ir.assemble import answering_500, resolved_route
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard
from shared.ir.joining import with_policies, with_stream_policies
from shared.ir.order import match_key, order_key
from shared.ir.places import asks_places, knows_places
from shared.ir.policy import PolicyShard
from shared.ir.tcp import TcpRouteShard
from shared.ir.udp import UdpRouteShard
from shared.xds.message import TYPE_PREFIX, BadMessage, Fields, encode

# Envoy's own limit
DIRECT_RESPONSE_LIMIT = 4096
_ROUTES_FIELD = 3
VIRTUAL_HOST_MESSAGE = "envoy.config.route.v3.VirtualHost"
DESCRIPTOR_MESSAGE = "ratelimit.config.ratelimit.v3.RateLimitDescriptor"
_ROUTE_ENTRY_MESSAGE = "envoy.config.route.v3.Route"


class RouteKey(NamedTuple):
    """What a value of ROUTE_OUTPUTS is: a `host` of a listener, `filters` that it needs, its `stream` routes, a shard's `problem`, or a
    `limit`: what the rate limit service counts under a name of a domain."""

    kind: Literal["host", "filters", "stream", "problem", "limit"]
    of: str
    name: str = ""


RouteValue = Parts | Named | bytes | tuple[str, ...] | TcpRouteShard | UdpRouteShard


PolicyOf = Callable[[Db, str], PolicyShard | None]


def resolved(db: Db, listener_key: str, route: HttpRoute, policy_of: PolicyOf = policy_of_requests) -> HttpRoute:
    """The route with its policies and its destinations' shapes. Settings that bring their endpoints were judged by who wrote them."""
    route = with_policies(route, listener_policies(db, listener_key), lambda key: policy_of(db, key))
    settings = route.destination.settings if route.destination is not None else ()
    if any(s.endpoints for s in settings) or (route.destination is not None and route.destination.backend_cluster_refs):
        return route
    return resolved_route(route, lambda ref: shape(db, ref))


def joined_stream(db: Db, listener_key: str, shard: TcpRouteShard | UdpRouteShard) -> TcpRouteShard | UdpRouteShard:
    """A TCP or UDP route's shard with its policies in the route."""
    of_listener = listener_policies(db, listener_key)
    if isinstance(shard, TcpRouteShard):
        return replace(shard, route=with_stream_policies(shard.route, of_listener, lambda key: policy(db, key)))
    return replace(shard, route=with_stream_policies(shard.route, of_listener, lambda key: policy(db, key)))


@functools.lru_cache(maxsize=4096)
def host_fault(hostname: str) -> str | None:
    """What Envoy would refuse in a host's virtual host."""
    return checks.fault(VIRTUAL_HOST_MESSAGE, routes.virtual_host(HttpListener(name="any"), hostname, False))


def credential_fault(db: Db, route: HttpRoute) -> str | None:
    """Why the credential that a route injects cannot be given to Envoy."""
    if route.credential_injection is None:
        return None
    try:
        credential_secret(route.credential_injection, opener(db))
    except Unrenderable as e:
        return str(e)
    return None


def _http3_port(db: Db, key: str) -> Mapping[Port, bool]:
    listener = db.get(LISTENERS, key)
    return {port_of(listener): True} if isinstance(listener, HttpListener) and listener.http3 is not None else {}


HTTP3_PORTS: Collection[Port, bool] = Collection("http3_ports", source=LISTENERS, fn=_http3_port)
"""Ports of which at least one listener speaks HTTP/3: they share what speaks it."""


def _asks_places(db: Db, key: str) -> Mapping[str, bool]:
    shard = db.get(POLICIES, key)
    asks = shard is not None and shard.security is not None and bool(places.fields_of(shard.security.authorization))
    return {"": True} if asks else {}


PLACE_POLICIES: Collection[str, bool] = Collection("place_policies", source=POLICIES, fn=_asks_places)
ANYBODY_ASKS = fold(PLACE_POLICIES, "anybody", AnyOf())


def route_places(db: Db, key: str) -> Mapping[str, Named]:
    """Listener -> what its routes ask of the places of clients."""
    shard = db.get(ROUTES, key)
    if not isinstance(shard, HttpRouteShard):
        return {}
    listener, asked = listener_of(key), Named()
    found = shard.routes
    if db.fold(ANYBODY_ASKS, ""):
        found = tuple(with_policies(r, listener_policies(db, listener), lambda name: policy(db, name)) for r in found)
    for each in found:
        asked.update(dict.fromkeys(places.fields_of_route(each), True))
    return {listener: asked} if asked else {}


PLACES: Collection[str, Named] = Collection("route_places", source=ROUTES, fn=route_places)
PLACES_OF_LISTENER = fold(PLACES, "together", Unite())


@query
def ways(db: Db, listener_key: str) -> Ways:
    """What the routes of a listener are told by it."""
    listener = db.get(LISTENERS, listener_key)
    if not isinstance(listener, HttpListener):
        return Ways()
    asked: Mapping[str, Any] = db.fold(PLACES_OF_LISTENER, listener_key)
    return Ways(
        as_written=listener.preserve_route_order,
        keeps_idle=timeout.keeps_idle_streams(listener.timeout),
        refuses=listener.refused,
        http3_port=(listener.external_port or 0) if db.group(HTTP3_PORTS, port_of(listener)) else None,
        listener=listener.name,
        tells_limits=listener.headers is None or not listener.headers.disable_rate_limit_headers,
        places=knows_places(listener, listener.geo_ip_provider or gateway_places(db)),
        hidden_headers=places.headers_of(frozenset(asked)),
    )


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


def filter_fault(filter: Fields) -> str | None:
    """What Envoy would refuse in a filter. Of pieces that are shared nothing is known before they are put together."""
    config = filter.get("typed_config")
    return _config_fault(config["type_url"], config["value"]) if config is not None else None


@functools.lru_cache(maxsize=4096)
def _config_fault(type_url: str, value: bytes) -> str | None:
    return checks.found(type_url.removeprefix(TYPE_PREFIX), value)


def checked(route: HttpRoute, validate: bool, ways: Ways = USUAL) -> tuple[bytes | None, str | None]:
    """Serialised Route, and what is wrong with it. Where its match cannot stand either, there is no route at all."""
    try:
        data, fault = checks.checked(_ROUTE_ENTRY_MESSAGE, routes.route(route, ways), validate)
        if fault is None:
            return data, None
    except (Unrenderable, BadMessage) as e:
        fault = str(e)
    try:
        stand_in, worse = checks.checked(_ROUTE_ENTRY_MESSAGE, routes.route(refused(route), ways), validate)
    except (Unrenderable, BadMessage):
        return None, fault
    return (stand_in if worse is None else None), fault


def route_outputs(db: Db, key: str) -> Mapping[RouteKey, RouteValue]:
    shard = db.get(ROUTES, key)
    if shard is None:
        return {}
    if not isinstance(shard, HttpRouteShard):
        return {RouteKey("stream", listener_of(key)): joined_stream(db, listener_of(key), shard)}
    validate = bool(db.get(OPTIONS, VALIDATE))
    listener = listener_of(key)
    by_age = order_key(shard.order)
    of_all = ways(db, listener)
    hosts: dict[str, list[Part]] = {}
    filters = Named()
    limited: list[HttpRoute] = []
    problems: list[str] = []
    waiting: Pending | None = None
    for n, each in enumerate(shard.routes):
        if validate and (bad := host_fault(each.hostname)) is not None:
            problems.append(f"{each.name}: {bad}")
            continue
        route = resolved(db, listener, each)
        # Envoy would wait for the secret for ever, and the listener with all its routes
        if (bad := credential_fault(db, route)) is not None:
            problems.append(f"{each.name}: {bad}")
            route = refused(route)
        try:
            if each.security is not None:
                route = replace(route, security=opened(each.security, opener(db)))
            needed = routes.filters(route)
            bad = next((f for f in map(filter_fault, needed.values()) if f is not None), None) if validate else None
        except (Unrenderable, BadMessage) as e:
            needed, bad = {}, str(e)
        if bad is not None:
            problems.append(f"{each.name}: {bad}")
            route, needed = refused(route), {}
        lost = asks_places(route) and not of_all.places
        data, fault = checked(answering_500(route) if of_all.refuses or lost else route, validate, of_all)
        if fault is not None:
            problems.append(f"{each.name}: {fault}")
        elif not all(e.host or e.path for s in (route.destination.settings if route.destination else ()) for e in s.endpoints):
            problems.append(f"{each.name}: an endpoint without an address")
        if data is None:
            continue
        try:
            data = changed_route(db, f"{listener}/{each.name}", each.hostname, data, each.extension_refs, each.extension_server_policies)
        except Pending as e:
            # all of a shard's routes are asked about at once
            waiting = waiting or e
            continue
        if data is None:
            continue
        for name, filter in needed.items() if fault is None else ():
            filters.setdefault(name, filter)
        if route.traffic is not None and route.traffic.rate_limit is not None and fault is None:
            limited.append(route)
        order = ((by_age, n) if of_all.as_written else (match_key(each), by_age, n),)
        size = len(body(route.direct_response)) if fault is None and route.direct_response is not None else 0
        part = Part(order, framed(_ROUTES_FIELD, data), digest(data + repr(order).encode()), size if size > DIRECT_RESPONSE_LIMIT else 0)
        hosts.setdefault(each.hostname, []).append(part)
    out: dict[RouteKey, RouteValue] = {RouteKey("host", listener, host): Parts(parts) for host, parts in hosts.items()}
    if filters:
        out[RouteKey("filters", listener)] = filters
    for domain, names in service.tree(limited, of_all.listener).items() if limited else ():
        for name, chains in names.items():
            # of a rule that routes share each of them gives the same
            out[RouteKey("limit", domain, name)] = encode(DESCRIPTOR_MESSAGE, service.descriptor(name, chains))
    if waiting is not None:
        raise waiting
    if problems:
        out[RouteKey("problem", key)] = tuple(problems)
    return out


ROUTE_OUTPUTS: Collection[RouteKey, Any] = Collection("route_outputs", source=ROUTES, fn=route_outputs)
ROUTES_OF_HOST = fold(ROUTE_OUTPUTS, "joined", Only(Parts, JoinParts()))
FILTERS = fold(ROUTE_OUTPUTS, "filters", Only(Named, Unite()))
"""All that the routes of a listener need there. A listener is rendered again only if this comes out different."""
