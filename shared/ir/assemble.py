"""Shards put together: what crosses shards is decided here and nowhere else.

Endpoints join the settings that name them, destinations that nobody can serve become direct responses, routes of a listener
are sorted. `assemble` does all of it at once; xds_server calls the small functions incrementally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from shared.features.route.direct_response.ir import DirectResponse
from shared.ir import extension, security
from shared.ir.base import IR
from shared.ir.destination import BackendCluster, BackendClusterRef, Destination, DestinationSetting, EndpointsShard
from shared.ir.gateway import GatewayShard, GlobalResources, Xds
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard
from shared.ir.joining import with_cluster_policies, with_policies, with_stream_policies
from shared.ir.order import chosen_udp, order_key, ordered, ordered_tcp
from shared.ir.patch import PatchShard
from shared.ir.places import asks_places, knows_places
from shared.ir.policy import PolicyShard
from shared.ir.shards import GATEWAY, cluster_key
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard, TcpTls
from shared.ir.udp import UdpListener, UdpRouteShard
from shared.ir.unstructured import ExtensionShard, Refs, UnstructuredRef

S = TypeVar("S", bound=IR)
_PASSES: tuple[type[IR], ...] = (HttpRouteShard, TcpRouteShard, UdpRouteShard)

EndpointsOf = Callable[[str], EndpointsShard | None]
"""An endpoints shard by its key; None where no such shard is known."""


class Weights(IR, frozen=True):
    """How a destination's weight is split: requests for `invalid` get 500, for `no_endpoints` 503."""

    valid: int = 0
    invalid: int = 0
    no_endpoints: int = 0


def joined_setting(setting: DestinationSetting, endpoints: EndpointsOf) -> DestinationSetting:
    """The setting with the address type and endpoints of the shard that it names; without endpoints only its weight counts."""
    if not setting.endpoints_ref:
        return setting
    shard = endpoints(setting.endpoints_ref)
    if shard is None or not shard.endpoints:
        return DestinationSetting(name=setting.name, weight=setting.weight)
    return replace(setting, endpoints_ref="", address_type=shard.address_type, endpoints=shard.endpoints)


def joined(destination: Destination, endpoints: EndpointsOf) -> Destination:
    """The destination with every setting joined with its endpoints, or turned into the reference to a cluster that has some."""
    settings, refs = [], list(destination.backend_cluster_refs)
    for each in (joined_setting(s, endpoints) for s in destination.settings):
        if each.backend_cluster:
            refs.append(BackendClusterRef(name=each.backend_cluster, weight=each.weight))
        else:
            settings.append(each)
    return replace(destination, settings=tuple(settings), backend_cluster_refs=tuple(refs))


def weights(destination: Destination) -> Weights:
    """The split of a joined destination; a setting without a weight counts nowhere, as in Envoy Gateway."""
    split = [sum(ref.weight or 0 for ref in destination.backend_cluster_refs), 0, 0]
    for s in destination.settings:
        kind = 1 if s.invalid else 0 if s.is_dynamic_resolver or s.is_custom_backend or s.endpoints else 2
        split[kind] += s.weight or 0
    return Weights(valid=split[0], invalid=split[1], no_endpoints=split[2])


def unavailable(destination: Destination) -> int | None:
    """The status that answers every request of a joined destination which nothing can serve; None where something can."""
    if weights(destination).valid or not (destination.settings or destination.backend_cluster_refs):
        return None
    if any(s.invalid for s in destination.settings):
        return 500
    return 503 if any(not s.endpoints for s in destination.settings) else 500


def with_services(route: HttpRoute, endpoints: EndpointsOf) -> HttpRoute:
    """The route with the endpoints of all services that its features ask."""

    def whole(destination: Destination) -> Destination:
        return joined(destination, endpoints)

    if route.security is not None:
        route = replace(route, security=security.with_destinations(route.security, whole))
    if route.envoy_extensions is not None:
        route = replace(route, envoy_extensions=extension.with_destinations(route.envoy_extensions, whole))
    return route


def resolved_route(route: HttpRoute, endpoints: EndpointsOf) -> HttpRoute:
    """The route as Envoy gets it: destinations joined, or replaced by the direct response that stands for their absence.

    A mirror that nobody receives is left out.
    """
    if route.mirrors:
        mirrors = (replace(m, destination=joined(m.destination, endpoints)) for m in route.mirrors)
        route = replace(route, mirrors=tuple(m for m in mirrors if unavailable(m.destination) is None))
    if route.destination is None:
        return route
    destination = joined(route.destination, endpoints)
    status = unavailable(destination)
    if status is None:
        return replace(route, destination=destination)
    return replace(route, destination=None, direct_response=DirectResponse(status_code=status))


def answering_500(route: HttpRoute) -> HttpRoute:
    """The route of a listener that refuses all requests."""
    return replace(route, direct_response=DirectResponse(status_code=500))


def usable(destination: Destination | None, endpoints: EndpointsOf) -> Destination | None:
    """A joined destination for connections: there is no answer to give, so what has no endpoints is left out."""
    if destination is None:
        return None
    whole = joined(destination, endpoints)
    return replace(whole, settings=tuple(s for s in whole.settings if s.endpoints or s.is_dynamic_resolver))


def resolved_tcp(route: TcpRoute, listener: TcpListener, endpoints: EndpointsOf) -> TcpRoute:
    """The route as Envoy gets it: its destination joined, its listener's TLS in place."""
    tls = replace(route.tls or TcpTls(), terminate=listener.tls) if listener.tls is not None else route.tls
    return replace(route, tls=tls, destination=usable(route.destination, endpoints))


def asks_control_plane(route: HttpRoute) -> bool:
    """Whether proxies ask a service of the control plane's own because of this route."""
    limits = route.traffic.rate_limit if route.traffic is not None else None
    wasm = route.envoy_extensions is not None and bool(route.envoy_extensions.wasms)
    return wasm or (limits is not None and limits.global_ is not None)


def route_shards(shards: Mapping[str, IR], listener_key: str, kind: type[S]) -> list[S]:
    """The route shards of the listener whose own shard stands under `listener_key`."""
    prefix = listener_key + "."
    return [s for k, s in shards.items() if k.startswith(prefix) and isinstance(s, kind)]


def _shared_clusters(shards: Mapping[str, IR], endpoints: EndpointsOf) -> tuple[BackendCluster, ...]:
    """Clusters in the order in which routes come to need them. One that nobody serves is left out, as no route refers to it."""
    every = [s for s in shards.values() if isinstance(s, (HttpRouteShard, TcpRouteShard, UdpRouteShard))]
    names: dict[str, BackendCluster | None] = {}
    for shard in sorted(every, key=lambda s: (_PASSES.index(type(s)), order_key(s.order))):
        routes = shard.routes if isinstance(shard, HttpRouteShard) else (shard.route,)
        for route in routes:
            for setting in route.destination.settings if route.destination is not None else ():
                if setting.backend_cluster and setting.backend_cluster not in names:
                    found = shards.get(cluster_key(setting.backend_cluster))
                    names[setting.backend_cluster] = found if isinstance(found, BackendCluster) else None
    clusters = (replace(c, setting=joined_setting(c.setting, endpoints)) for c in names.values() if c is not None)
    return tuple(c for c in clusters if c.setting.endpoints)


def assemble(shards: Mapping[str, IR]) -> Xds:
    """One Gateway's whole IR from its shards, keyed as in shards.py. A Gateway without its own shard is empty."""
    gateway = shards.get(GATEWAY)
    if not isinstance(gateway, GatewayShard):
        return Xds()

    def endpoints(key: str) -> EndpointsShard | None:
        shard = shards.get(key)
        return shard if isinstance(shard, EndpointsShard) else None

    def policy(key: str) -> PolicyShard | None:
        shard = shards.get(key)
        return shard if isinstance(shard, PolicyShard) else None

    def objects(refs: Refs) -> Refs:
        found = (shards.get(each.ref) for each in refs)
        return tuple(UnstructuredRef(object=each.object) for each in found if isinstance(each, ExtensionShard))

    def with_objects(route: HttpRoute) -> HttpRoute:
        if not (route.extension_refs or route.extension_server_policies):
            return route
        own, policies = objects(route.extension_refs), objects(route.extension_server_policies)
        return replace(route, extension_refs=own, extension_server_policies=policies)

    listeners = []
    for key in gateway.http_listeners:
        listener = shards.get(key)
        if isinstance(listener, HttpListener):
            routes = ordered(route_shards(shards, key, HttpRouteShard), listener.preserve_route_order)
            joined_in = (with_policies(resolved_route(r, endpoints), listener.policies, policy) for r in routes)
            whole = [with_services(r, endpoints) for r in joined_in]
            if any(asks_places(r) for r in whole):
                known = knows_places(listener, gateway.geo_ip_provider)
                listener = replace(listener, geo_ip_provider=gateway.geo_ip_provider if known else None)
                whole = [r if known or not asks_places(r) else answering_500(r) for r in whole]
            shown = tuple(with_objects(answering_500(r) if listener.refused else r) for r in whole)
            refs = objects(listener.extension_refs)
            listeners.append(replace(listener, policies=None, refused=False, client_policy="", routes=shown, extension_refs=refs))
    tcp = []
    for key in gateway.tcp_listeners:
        stream = shards.get(key)
        if isinstance(stream, TcpListener):
            chosen = ordered_tcp(route_shards(shards, key, TcpRouteShard)) if not stream.refused else ()
            forwarded = (with_stream_policies(resolved_tcp(r, stream, endpoints), stream.policies, policy) for r in chosen)
            refs = objects(stream.extension_refs)
            tcp.append(replace(stream, policies=None, refused=False, client_policy="", routes=tuple(forwarded), extension_refs=refs))
    udp = []
    for key in gateway.udp_listeners:
        datagrams = shards.get(key)
        if isinstance(datagrams, UdpListener):
            route = chosen_udp(route_shards(shards, key, UdpRouteShard))
            if route is not None:
                route = replace(route, destination=usable(route.destination, endpoints))
                route = with_stream_policies(route, datagrams.policies, policy)
            udp.append(replace(datagrams, policies=None, route=route, extension_refs=objects(datagrams.extension_refs)))
    resources = gateway.global_resources
    if resources is not None and resources.proxy_service_cluster is not None:
        resources = replace(resources, proxy_service_cluster=joined(resources.proxy_service_cluster, endpoints))
    patches = sorted((s for s in shards.values() if isinstance(s, PatchShard)), key=lambda s: s.order)
    if resources is not None and not any(asks_control_plane(r) for each in listeners for r in each.routes):
        resources = replace(resources, envoy_client_certificate=None)
        resources = resources if resources != GlobalResources() else None
    return Xds(
        access_log=gateway.access_log,
        tracing=gateway.tracing,
        health_check_log=gateway.health_check_log,
        filter_order=gateway.filter_order,
        metrics=gateway.metrics,
        global_resources=resources,
        ready_listener=gateway.ready_listener,
        http=tuple(listeners),
        tcp=tuple(tcp),
        udp=tuple(udp),
        backend_clusters=tuple(with_cluster_policies(c, policy) for c in _shared_clusters(shards, endpoints)),
        envoy_patch_policies=tuple(p.policy for p in patches),
        extension_server_policies=objects(gateway.extension_server_policies),
    )
