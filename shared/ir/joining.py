"""Policies join the routes that they speak for. The translator's tests and xds_server use the same functions.

The most specific policy of a kind has the word. One that could not be translated makes its routes answer 500; what a route names
and nobody has sent is no policy at all, but of security it is a refusal: nothing is let through because something is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from shared.features.route.direct_response.ir import DirectResponse
from shared.features.security.authorization.ir import Authorization
from shared.ir.base import IR
from shared.ir.destination import BackendCluster
from shared.ir.http import HttpRoute
from shared.ir.metadata import PolicyMetadata, ResourceMetadata
from shared.ir.policy import Policies, PolicyShard
from shared.ir.tcp import TcpRoute
from shared.ir.traffic import ClusterTraffic, Traffic
from shared.ir.udp import UdpRoute

PolicyOf = Callable[[str], PolicyShard | None]
"""A policy's shard by its key; None where no such shard is known."""
R = TypeVar("R", TcpRoute, UdpRoute)
NONE = Policies()
NOBODY = Authorization(default_action="Deny")
_REFUSAL = DirectResponse(status_code=500)
LOAD_REPORTS = ("endpoint-load-metrics", "endpoint-load-metrics-bin")
_OF_STREAMS: dict[type[IR], tuple[str, ...]] = {
    UdpRoute: ("load_balancer", "dns"),
    TcpRoute: (
        "load_balancer",
        "proxy_protocol",
        "health_check",
        "circuit_breaker",
        "tcp_keepalive",
        "timeout",
        "backend_connection",
        "dns",
    ),
}
"""What of a traffic policy counts for connections and datagrams."""


def _chain(own: Policies | None, of_listener: Policies | None, field: str, policy: PolicyOf) -> Iterator[PolicyShard | None]:
    for key in (*getattr(own or NONE, field), *getattr(of_listener or NONE, field)):
        yield policy(key)


def with_policies(route: HttpRoute, of_listener: Policies | None, policy: PolicyOf) -> HttpRoute:
    """The route with what its policies say, and without their names."""
    if route.policies is None and of_listener is None:
        return route
    changes: dict[str, Any] = {"policies": None}
    refused = False
    own = len(route.policies.traffic) if route.policies is not None else 0
    for n, shard in enumerate(_chain(route.policies, of_listener, "traffic", policy)):
        if shard is not None and not shard.refuses:
            changes = _traffic(route, shard) | changes
            if n < own and reports_load(shard.traffic):
                changes["remove_response_headers"] = (*route.remove_response_headers, *_new(LOAD_REPORTS, route.remove_response_headers))
            break
        if shard is not None:
            refused = True
            if (name := _stat_name(shard.route_stat_name, route.metadata)) is not None:
                changes.setdefault("stat_name", name)
    security = next(_chain(route.policies, of_listener, "security", policy), NONE)
    if security is not NONE:
        found = security if isinstance(security, PolicyShard) else None
        changes["security"] = found.security if found is not None else None
        refused |= found is None or found.refuses
    for shard in _chain(route.policies, of_listener, "envoy_extensions", policy):
        if shard is not None and not shard.refuses:
            changes["envoy_extensions"] = shard.envoy_extensions
            break
        # what is missing may be what keeps somebody out
        refused = True
    if refused:
        changes["direct_response"] = _REFUSAL
    return replace(route, **changes)


def _new(names: tuple[str, ...], known: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if name not in known)


def reports_load(traffic: Traffic | None) -> bool:
    """Whether backends report their load in headers that clients must not see."""
    balancer = traffic.load_balancer if traffic is not None else None
    utilization = balancer.backend_utilization if balancer is not None else None
    return utilization is not None and not utilization.keep_response_headers


def _traffic(route: HttpRoute, shard: PolicyShard) -> dict[str, Any]:
    return {
        "traffic": shard.traffic,
        "use_client_protocol": bool(shard.use_client_protocol),
        "stat_name": _stat_name(shard.route_stat_name, route.metadata),
        "metadata": _with_policy(route.metadata, shard.policy),
    }


def _with_policy(metadata: ResourceMetadata | None, policy: PolicyMetadata) -> ResourceMetadata | None:
    return replace(metadata, policies=(*metadata.policies, policy)) if metadata is not None else None


def _stat_name(pattern: str, metadata: ResourceMetadata | None) -> str | None:
    if not pattern or metadata is None:
        return None
    values = {
        "%ROUTE_NAME%": metadata.name,
        "%ROUTE_NAMESPACE%": metadata.namespace,
        "%ROUTE_KIND%": metadata.kind,
        "%ROUTE_RULE_NAME%": metadata.section_name or "-",
    }
    for operator, value in values.items():
        pattern = pattern.replace(operator, value)
    return pattern


def with_cluster_policies(cluster: BackendCluster, policy: PolicyOf) -> BackendCluster:
    """A cluster that routes share, with what the policy that speaks for all of them says of clusters."""
    if not cluster.policies:
        return cluster
    changes: dict[str, Any] = {"policies": ()}
    for key in cluster.policies:
        shard = policy(key)
        if shard is not None and shard.traffic is not None and not shard.refuses:
            changes |= {"traffic": _of_cluster(shard.traffic), "use_client_protocol": bool(shard.use_client_protocol)}
            break
    return replace(cluster, **changes)


def _of_cluster(traffic: Traffic) -> ClusterTraffic:
    """What of a route's traffic its cluster can do, too."""
    fields = {name: getattr(traffic, name) for name in ClusterTraffic.__struct_fields__ if name != "retry"}
    timeout = traffic.timeout
    if timeout is not None and timeout.http is not None:
        fields["timeout"] = replace(timeout, http=replace(timeout.http, request_timeout=None, stream_idle_timeout=None))
    return ClusterTraffic(**fields)


_NOT_OF_REQUESTS = (
    *("proxy_protocol", "health_check", "circuit_breaker", "admission_control"),
    *("tcp_keepalive", "backend_connection", "http2", "dns"),
)


def about_requests(shard: PolicyShard) -> PolicyShard:
    """What of a policy a route is made of. Who reads only this is left alone when a policy changes otherwise."""
    traffic = shard.traffic
    return shard if traffic is None else replace(shard, traffic=replace(traffic, **dict.fromkeys(_NOT_OF_REQUESTS)))


def about_clusters(shard: PolicyShard) -> PolicyShard:
    """What of a policy a route's clusters are made of."""
    of = _of_cluster(shard.traffic) if shard.traffic is not None else None
    traffic = Traffic(**{name: getattr(of, name) for name in of.__struct_fields__}) if of is not None else None
    return replace(shard, traffic=traffic, security=None, envoy_extensions=None)


def with_stream_policies(route: R, of_listener: Policies | None, policy: PolicyOf) -> R:
    """A TCP or UDP route, to which each policy gives what no more specific one has given."""
    if route.policies is None and of_listener is None:
        return route
    changes: dict[str, Any] = {"policies": None}
    metadata = getattr(route, "metadata", None)
    for shard in _chain(route.policies, of_listener, "traffic", policy):
        if shard is None or shard.traffic is None:
            continue
        given = {name: getattr(shard.traffic, name) for name in _OF_STREAMS[type(route)]}
        changes = {name: value for name, value in given.items() if value is not None} | changes
        if metadata is not None:
            changes["metadata"] = metadata = _with_policy(metadata, shard.policy)
            if (stat_name := _stat_name(shard.route_stat_name, metadata)) is not None:
                changes.setdefault("stat_name", stat_name)
    if isinstance(route, TcpRoute):
        changes["authorization"] = _authorization(route, of_listener, policy)
    return replace(route, **changes)


def _authorization(route: TcpRoute, of_listener: Policies | None, policy: PolicyOf) -> Authorization | None:
    """Who may connect: the word of the most specific policy that says something of it. Where that is unknown or unsound, nobody."""
    for shard in _chain(route.policies, of_listener, "security", policy):
        if shard is None or shard.refuses:
            return NOBODY
        if shard.security is not None and shard.security.authorization is not None:
            return shard.security.authorization
    return None
