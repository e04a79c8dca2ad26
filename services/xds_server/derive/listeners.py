"""Listeners by port, virtual hosts, and the RouteConfigurations that join them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from services.xds_server.derive.hooks import changed, changed_listener, keys, servers
from services.xds_server.derive.routes import FILTERS, ROUTE_OUTPUTS, ROUTES_OF_HOST, VIRTUAL_HOST_MESSAGE, RouteKey
from services.xds_server.derive.tables import (
    LISTENERS,
    MISDIRECTED,
    OPTIONS,
    POLICIES,
    VALIDATE,
    AnyListener,
    Outputs,
    Port,
    gateway_access_log,
    gateway_faults,
    gateway_filter_order,
    gateway_metrics,
    gateway_places,
    gateway_rate_limit_service,
    gateway_tracing,
    opener,
    policy_fault,
    port_of,
    positions,
    scheme,
)
from services.xds_server.render import checks, listeners, misdirected, routes, streams
from services.xds_server.render.parts import MODULUS, JoinParts, Part, Parts
from services.xds_server.render.tls import listener_secrets
from services.xds_server.render.types import (
    LISTENER,
    LISTENER_MESSAGE,
    ROUTE,
    ROUTE_MESSAGE,
    Need,
    Rendered,
    digest,
    framed,
)
from shared.features.parts.xds_values import Unrenderable
from shared.incremental import Collection, Db, fold, query
from shared.ir.http import HttpListener
from shared.ir.order import chosen_udp, ordered_tcp
from shared.ir.shards import GATEWAY
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard
from shared.ir.udp import UdpListener, UdpRoute, UdpRouteShard
from shared.xds.message import BadMessage, Fields, encode

L = TypeVar("L", HttpListener, TcpListener, UdpListener)

# what Envoy's limit is raised to where some direct response is larger
LARGER_DIRECT_RESPONSE_LIMIT = 1 << 20
_VIRTUAL_HOSTS_FIELD = 2


def alone(listener: AnyListener) -> Rendered:
    """The Listener that would be, were there nothing else on its port."""
    if isinstance(listener, UdpListener):
        return streams.udp_listener(listener, None, None)
    if isinstance(listener, TcpListener):
        return listeners.listener([], [], [(listener, (TcpRoute(name="any"),))])
    return listeners.listener([listener], [{}])


@query
def listener_fault(db: Db, key: str) -> str | None:
    """Why a listener cannot be served. Of an HTTPS one Envoy would wait for the secrets for ever, and its port's others with it."""
    listener = db.get(LISTENERS, key)
    if listener is None:
        return None
    if not listener.address:
        return f"listener {listener.name} has no address"
    try:
        if not isinstance(listener, UdpListener) and listener.tls is not None:
            listener_secrets(listener.tls, opener(db))
        if not db.get(OPTIONS, VALIDATE):
            return None
        return checks.found(LISTENER_MESSAGE, alone(listener).body)
    except (Unrenderable, BadMessage) as e:
        return str(e)


def shard_faults(db: Db) -> dict[str, tuple[str, ...]]:
    """Key of a listener's, a policy's or the Gateway's shard -> what of it is not served, and why."""
    found: dict[str, tuple[str, ...]] = {}
    for key in db.all_keys(LISTENERS):
        if (fault := listener_fault(db, key)) is not None:
            found[key] = (fault,)
    for key in db.all_keys(POLICIES):
        if (fault := policy_fault(db, key)) is not None:
            found[key] = (fault,)
    faults = gateway_faults(db)
    return found | ({GATEWAY: faults} if faults else {})


def port_members(db: Db, key: str) -> Mapping[Port, int]:
    listener = db.get(LISTENERS, key)
    if listener is None:
        return {}
    at = positions(db).get(key)
    if at is None or listener_fault(db, key) is not None:
        return {}
    return {port_of(listener): at}


PORTS: Collection[Port, int] = Collection("ports", source=LISTENERS, fn=port_members)


@query
def port_listeners(db: Db, port: Port) -> tuple[str, ...]:
    """Keys of the listeners of one address and port, in the Gateway's order."""
    group = db.group(PORTS, port)
    return tuple(sorted(group, key=lambda k: group[k]))


def listeners_at(db: Db, keys: Iterable[str], kind: type[L]) -> dict[str, L]:
    """Those of the listeners that are of that kind."""
    return {key: found for key in keys if isinstance(found := db.get(LISTENERS, key), kind)}


def route_config_members(db: Db, port: Port) -> Mapping[str, tuple[str, ...]]:
    """RouteConfiguration name -> its listeners' keys."""
    of = listeners_at(db, port_listeners(db, port), HttpListener)
    out: dict[str, tuple[str, ...]] = {}
    for key, name in zip(of, listeners.route_config_names(list(of.values()), scheme(db)), strict=True):
        out[name] = (*out.get(name, ()), key)
    return out


ROUTE_CONFIGS: Collection[str, tuple[str, ...]] = Collection("route_configs", source=PORTS, fn=route_config_members)


class HostPlace(NamedTuple):
    """Where a listener's virtual hosts stand."""

    route_config: str
    position: int
    rank: tuple[int, int]
    listener: HttpListener
    stats: bool


@query
def host_place(db: Db, listener_key: str) -> HostPlace | None:
    at = positions(db).get(listener_key)
    listener = db.get(LISTENERS, listener_key)
    if at is None or not isinstance(listener, HttpListener) or listener_fault(db, listener_key) is not None:
        return None
    of = listeners_at(db, port_listeners(db, port_of(listener)), HttpListener)
    names = listeners.route_config_names(list(of.values()), scheme(db))
    metrics = gateway_metrics(db)
    head = HttpListener(name=listener.name, metadata=listener.metadata)
    stats = metrics is not None and metrics.enable_virtual_host_stats
    return HostPlace(dict(zip(of, names, strict=True))[listener_key], at, listeners.host_rank(listener), head, stats)


def virtual_hosts(db: Db, at: RouteKey) -> Mapping[str, Parts]:
    if at.kind != "host":
        return {}
    listener_key, hostname = at.of, at.name
    place = host_place(db, listener_key)
    if place is None:
        return {}
    inside = db.fold(ROUTES_OF_HOST, at)
    head = encode(VIRTUAL_HOST_MESSAGE, routes.virtual_host(place.listener, hostname, place.stats, scheme(db)))
    order = (place.position, inside.first, hostname, place.rank)
    mark = (digest(head + repr(order).encode()) + inside.digest) % MODULUS
    whole: bytes | None = b"".join((head, *inside.data()))
    if servers(db, "VirtualHost"):
        whole = changed(db, "VirtualHost", f"{place.route_config}/{hostname}", whole or b"")
        mark = digest((whole or b"") + repr(order).encode())
    if whole is None:
        return {}
    data = framed(_VIRTUAL_HOSTS_FIELD, whole)
    return {place.route_config: Parts((Part(order, data, mark, inside.largest_body),))}


HOSTS: Collection[str, Parts] = Collection("virtual_hosts", source=ROUTE_OUTPUTS, fn=virtual_hosts)
HOSTS_OF_CONFIG = fold(HOSTS, "joined", JoinParts())


@query
def has_host(db: Db, at: RouteKey) -> bool:
    """Whether routes give a listener a virtual host of this name."""
    return bool(db.fold(ROUTES_OF_HOST, at).data())


def https_listeners(db: Db, port: Port) -> dict[str, HttpListener]:
    """The HTTPS listeners of a port."""
    return {key: of for key, of in listeners_at(db, port_listeners(db, port), HttpListener).items() if of.tls is not None}


@query
def guarding_hosts(db: Db, listener_key: str) -> tuple[bytes, ...]:
    """Virtual hosts that keep an HTTPS listener from requests for hosts of its neighbours."""
    own = db.get(LISTENERS, listener_key)
    if not isinstance(own, HttpListener) or own.tls is None or not db.get(OPTIONS, MISDIRECTED):
        return ()
    others = [of for key, of in https_listeners(db, port_of(own)).items() if key != listener_key]
    return tuple(
        encode(VIRTUAL_HOST_MESSAGE, misdirected.virtual_host(own, domain, foreign, scheme(db)))
        for domain, foreign in misdirected.guards(own, others).items()
        if not has_host(db, RouteKey("host", listener_key, domain))
    )


def route_configurations(db: Db, name: str) -> Outputs:
    inside = db.fold(HOSTS_OF_CONFIG, name)
    guarding = [host for keys in db.group(ROUTE_CONFIGS, name).values() for key in keys for host in guarding_hosts(db, key)]
    fields: Fields = {"name": name, "ignore_port_in_host_matching": True}
    if inside.largest_body:
        limit = max(inside.largest_body, LARGER_DIRECT_RESPONSE_LIMIT)
        fields["max_direct_response_body_size_bytes"] = {"value": limit}
    head = encode(ROUTE_MESSAGE, fields)
    version = (digest(head) + inside.digest + sum(map(digest, guarding))) % MODULUS
    shared = any(len(keys) > 1 for keys in db.group(ROUTE_CONFIGS, name).values())
    # Envoy refuses a domain that stands in two virtual hosts: of listeners that share a port the most exact has it
    hosts = inside.best_of_each(lambda order: order[2], lambda order: order[3]) if shared and db.get(OPTIONS, VALIDATE) else inside.data()
    return {
        (ROUTE, name): Rendered(f"{version:032x}", b"".join((head, *hosts, *(framed(_VIRTUAL_HOSTS_FIELD, host) for host in guarding))))
    }


ROUTE_RESOURCES: Collection[Need, Rendered] = Collection("route_resources", source=ROUTE_CONFIGS, fn=route_configurations)


def tcp_routes(db: Db, listener_key: str) -> tuple[TcpRoute, ...]:
    """The routes that a TLS or TCP listener serves."""
    listener = db.get(LISTENERS, listener_key)
    if isinstance(listener, TcpListener) and listener.refused:
        return ()
    shards = db.group(ROUTE_OUTPUTS, RouteKey("stream", listener_key)).values()
    return ordered_tcp(s for s in shards if isinstance(s, TcpRouteShard))


def udp_route(db: Db, listener_key: str) -> UdpRoute | None:
    """The route that a UDP listener serves."""
    shards = db.group(ROUTE_OUTPUTS, RouteKey("stream", listener_key)).values()
    return chosen_udp(s for s in shards if isinstance(s, UdpRouteShard))


def xds_listeners(db: Db, port: Port) -> Outputs:
    keys = port_listeners(db, port)
    log = gateway_access_log(db)
    if port[0] == "udp":
        datagrams = listeners_at(db, keys[:1], UdpListener)
        named = scheme(db)
        made = {named.listener(of): streams.udp_listener(of, udp_route(db, key), log, named) for key, of in datagrams.items()}
        return _changed(db, port, made)
    members = listeners_at(db, keys, HttpListener)
    filters: list[Mapping[str, Fields]] = []
    for key in members:
        filters.append(db.fold(FILTERS, RouteKey("filters", key)))
    stream = [(of, tcp_routes(db, key)) for key, of in listeners_at(db, keys, TcpListener).items()]
    looked_up = gateway_places(db)
    http = [of if of.geo_ip_provider is not None else replace(of, geo_ip_provider=looked_up) for of in members.values()]
    if db.get(OPTIONS, MISDIRECTED) and len(https_listeners(db, port)) > 1:
        http = [replace(of, tls_overlaps=False) for of in http]
    gateway = listeners.OfGateway(log, gateway_tracing(db), gateway_filter_order(db), gateway_rate_limit_service(db), scheme(db))
    first = http[0] if http else stream[0][0]
    out = {gateway.names.listener(first): listeners.listener(http, filters, stream, gateway)}
    if (quic := listeners.quic_listener(http, filters, gateway)) is not None:
        out[quic[0]] = quic[1]
    return _changed(db, port, out)


def _changed(db: Db, port: Port, made: Mapping[str, Rendered]) -> Outputs:
    """Listeners as extension servers want them, told of the policies of all that is on the port, whatever it speaks."""
    every = (key for protocol in ("tcp", "udp") for key in port_listeners(db, (protocol, *port[1:])))
    found = (db.get(LISTENERS, key) for key in every) if servers(db, "HTTPListener") else ()
    policies = [key for each in found if each is not None for key in keys(each.extension_refs)]
    final = {(LISTENER, name): changed_listener(db, each, name, policies) for name, each in made.items()}
    return {need: each for need, each in final.items() if each is not None}


LISTENER_RESOURCES: Collection[Need, Rendered] = Collection("listener_resources", source=PORTS, fn=xds_listeners)
