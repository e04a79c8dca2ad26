"""TCP and TLS routes as filter chains of a listener, and UDP listeners: bytes go to one cluster, nothing is looked at but the SNI."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from services.xds_server.render.accesslog import access_logs
from services.xds_server.render.names import USUAL, Names
from services.xds_server.render.tls import downstream_socket
from services.xds_server.render.types import CLUSTER, LISTENER, Rendered, rendered
from shared.features.client.connection import xds as connection
from shared.features.client.timeout import xds as timeout
from shared.features.parts.xds_values import given
from shared.features.route.dynamic_resolver import xds as dynamic_resolver
from shared.features.security.authorization import xds as authorization
from shared.features.traffic.dns import xds as dns
from shared.features.traffic.load_balancer import xds as load_balancer
from shared.ir.destination import Destination
from shared.ir.gateway import AccessLog
from shared.ir.tcp import TcpListener, TcpRoute
from shared.ir.udp import UdpListener, UdpRoute
from shared.xds.message import Fields, pack

EMPTY_CLUSTER = "EmptyCluster"
"""Where listeners without routes lead: Envoy takes no listener without a filter chain."""
_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_UDP_PROXY = "envoy.extensions.filters.udp.udp_proxy.v3"
_NOWHERE = Destination(name=EMPTY_CLUSTER)
_NO_ROUTE = TcpRoute(name=EMPTY_CLUSTER, destination=_NOWHERE)


def empty_cluster() -> Rendered:
    return rendered(CLUSTER, {"name": EMPTY_CLUSTER, "type": "STATIC"})


def leads_to(destination: Destination) -> str:
    """The one cluster of a destination for connections; a shared one only where nothing but shared ones are named.

    It does not hang on endpoints, so a listener stays as it is while they come and go.
    """
    shared = [ref.name for ref in destination.backend_cluster_refs]
    shared += [s.backend_cluster for s in destination.settings if s.backend_cluster]
    return destination.name if not shared or any(not s.backend_cluster for s in destination.settings) else shared[0]


def chains(listener: TcpListener, routes: Sequence[TcpRoute], log: AccessLog | None) -> list[Fields]:
    """FilterChains of one TCP or TLS listener; without routes one that leads nowhere."""
    return [_chain(listener, r, log) for r in routes] or [_chain(replace(listener, tls=None), _NO_ROUTE, log)]


def server_names(route: TcpRoute) -> tuple[str, ...]:
    """The SNIs that pick the route's chain; none where it takes all."""
    snis = route.tls.inspector.snis if route.tls is not None and route.tls.inspector is not None else ()
    return () if snis[:1] == ("*",) else snis


def _chain(listener: TcpListener, route: TcpRoute, log: AccessLog | None) -> Fields:
    passes = route.tls is not None and route.tls.inspector is not None
    kind = "tls-terminate" if listener.tls is not None else "tls-passthrough" if passes else "tcp"
    stat_prefix = f"{kind}-{listener.port}"
    proxy = given(
        {
            "access_log": access_logs(log, "Route") or None,
            "stat_prefix": stat_prefix,
            "cluster": leads_to(route.destination or _NOWHERE),
            "hash_policy": load_balancer.tcp_hash_policies(route.load_balancer) or None,
        }
        | timeout.on_tcp_proxy(listener.timeout)
    )
    snis = server_names(route)
    by_sni = dynamic_resolver.resolves_sni(route, terminated=listener.tls is not None)
    return given(
        {
            "name": route.name,
            "filters": [
                *authorization.network_filters(route.authorization, stat_prefix),
                *connection.network_filters(listener.connection, stat_prefix),
                *(dynamic_resolver.network_filters(dns.cache(route.dns, None), stat_prefix) if by_sni else ()),
                {"name": "envoy.filters.network.tcp_proxy", "typed_config": pack(_TCP_PROXY, proxy)},
            ],
            "filter_chain_match": {"server_names": list(snis)} if snis else None,
            "transport_socket": downstream_socket(listener.tls, False) if listener.tls is not None else None,
        }
        | timeout.on_chain(listener.timeout)
    )


def udp_listener(listener: UdpListener, route: UdpRoute | None, log: AccessLog | None, names: Names = USUAL) -> Rendered:
    """The Listener of one UDP listener."""
    destination = (route.destination if route is not None else None) or _NOWHERE
    action: Fields = {"name": "route", "typed_config": pack(f"{_UDP_PROXY}.Route", {"cluster": leads_to(destination)})}
    proxy: Fields = {"stat_prefix": "service", "matcher": {"on_no_match": {"action": action}}}
    if logs := access_logs(log, "Route"):
        proxy["access_log"] = logs
    config = pack(f"{_UDP_PROXY}.UdpProxyConfig", proxy)
    address: Fields = {"protocol": "UDP", "address": listener.address, "port_value": listener.port}
    if listener.ip_family == "DualStack":
        address["ipv4_compat"] = True
    fields: Fields = {
        "name": names.listener(listener),
        "address": {"socket_address": address},
        "listener_filters": [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": config}],
    }
    if logs := access_logs(log, "Listener"):
        fields["access_log"] = logs
    return rendered(LISTENER, fields, place=f"udp {listener.address}:{listener.port}")
