"""Clusters, endpoints and secrets: what route shards, listeners and the Gateway's own shard need."""

from __future__ import annotations

import contextlib

from msgspec.structs import replace

from services.xds_server.derive.hooks import changed_cluster, changed_endpoints, changed_listener
from services.xds_server.derive.hooks import keys as extension_keys
from services.xds_server.derive.listeners import listener_fault
from services.xds_server.derive.routes import FILTERS, ROUTE_OUTPUTS, RouteKey, credential_fault, joined_stream, resolved
from services.xds_server.derive.tables import (
    GATEWAYS,
    LISTENERS,
    OPTIONS,
    POLICIES,
    ROUTES,
    SHARED,
    VALIDATE,
    Outputs,
    gateway_health_log,
    gateway_metrics,
    gateway_module_service,
    gateway_rate_limit_service,
    listener_of,
    opener,
    own_certificate,
    policy,
    policy_of_clusters,
    positions,
    shape,
    whole,
)
from services.xds_server.render import checks, destinations, endpoints, listeners
from services.xds_server.render.destinations import ClusterPlan, module_plan, rate_limit_plan
from services.xds_server.render.routes import services
from services.xds_server.render.secrets import generic_secrets
from services.xds_server.render.streams import EMPTY_CLUSTER, empty_cluster, leads_to
from services.xds_server.render.tls import credential_secret, listener_secrets, other_servers, setting_secrets
from services.xds_server.render.types import (
    CLUSTER,
    CLUSTER_MESSAGE,
    ENDPOINT,
    LISTENER,
    SECRET,
    Need,
    Rendered,
    rendered,
)
from shared.features.client.http1.ir import Http1
from shared.features.extension.wasm import xds as wasm
from shared.features.parts.per_route import PIECE
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.credential_injection import xds as credential_injection
from shared.features.traffic.rate_limit import xds as rate_limit
from shared.incremental import Collection, Db, Pending, query
from shared.ir.assemble import joined, joined_setting, usable
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.extension import ExtensionFeatures
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard
from shared.ir.joining import with_cluster_policies
from shared.ir.security import SecurityFeatures
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard
from shared.ir.telemetry import AlsAccessLog, OpenTelemetryAccessLog, Tracing
from shared.ir.traffic import ClusterTraffic
from shared.ir.udp import UdpListener, UdpRoute, UdpRouteShard


def route_plans(route: HttpRoute, http1: Http1 | None, named: tuple[str, ...] = ()) -> tuple[ClusterPlan, ...]:
    """All clusters of one resolved route: of its destination, and of its mirrors. `named`: extension servers' objects."""
    out = tuple(plan._replace(hooked=True, extensions=named) for plan in destinations.plans(route, http1))
    for mirror in route.mirrors:
        out += (ClusterPlan(mirror.destination.name, mirror.destination.settings, mirror.destination.metadata),)
    return out


def service_plan(destination: Destination) -> ClusterPlan:
    """The cluster that Envoy itself belongs to, by which it knows its own zone."""
    return ClusterPlan(destination.name, destination.settings, destination.metadata, prefer_local=True)


def refs(destination: Destination | None) -> dict[str, str]:
    """Setting name -> key of its endpoints shard."""
    return {s.name: s.endpoints_ref for s in destination.settings if s.endpoints_ref} if destination is not None else {}


@query
def http1_of(db: Db, listener_key: str) -> Http1 | None:
    listener = db.get(LISTENERS, listener_key)
    return listener.http1 if isinstance(listener, HttpListener) else None


Plans = dict[str, tuple[ClusterPlan, dict[str, str]]]
"""Cluster name -> plan with shapes in place of endpoints, and where the endpoints of its settings stand."""


def plans_of_route(db: Db, key: str) -> Plans:
    """The clusters that one route shard needs."""
    shard = db.get(ROUTES, key)
    if isinstance(shard, TcpRouteShard | UdpRouteShard):
        return plans_of_stream(db, joined_stream(db, listener_of(key), shard).route)
    http1 = http1_of(db, listener_of(key))
    out: Plans = {}
    for each in shard.routes if shard is not None else ():
        security, extensions = each.security, each.envoy_extensions
        if each.destination is None and not each.mirrors and security is None and extensions is None:
            continue
        known = refs(each.destination)
        for mirror in each.mirrors:
            known |= refs(mirror.destination)
        named = extension_keys(each.extension_refs)
        for plan in route_plans(resolved(db, listener_of(key), each, policy_of_clusters), http1, named):
            if not endpoints.addressed(plan):
                # said with the route
                continue
            out.setdefault(plan.name, (plan, known))
        out = plans_of_services(db, security, extensions) | out
    return out


def plans_of_services(db: Db, security: SecurityFeatures | None, extensions: ExtensionFeatures | None) -> Plans:
    """The clusters of all services that filters ask."""
    out: Plans = {}
    for service in services(security, extensions):
        to = joined(service.destination, lambda ref: shape(db, ref)) if service.destination is not None else None
        plan = destinations.service_plan(service._replace(destination=to))
        out.setdefault(plan.name, (plan, refs(service.destination)))
    return out


def plans_of_policy(db: Db, key: str) -> Plans:
    """The clusters that a policy needs, once for all routes that it speaks for."""
    policy = db.get(POLICIES, key)
    return plans_of_services(db, policy.security, policy.envoy_extensions) if policy is not None else {}


def plans_of_stream(db: Db, route: TcpRoute | UdpRoute) -> Plans:
    """The cluster of a TCP or UDP route: always one, as connections cannot be split by weight."""
    destination = route.destination
    found = usable(destination, lambda ref: shape(db, ref))
    if found is None or destination is None or leads_to(destination) != destination.name:
        return {}
    plan = ClusterPlan(found.name, found.settings, found.metadata, found.stat_name, traffic=route)
    return {found.name: (plan, refs(destination))}


def plans_of_shared(db: Db, key: str) -> Plans:
    """The cluster that routes share, once for all of them. Without endpoints nobody refers to it: each answers for itself."""
    cluster = db.get(SHARED, key)
    if cluster is None:
        return {}
    cluster = with_cluster_policies(cluster, lambda name: policy(db, name))
    setting = joined_setting(cluster.setting, lambda ref: shape(db, ref))
    if not setting.endpoints:
        return {}
    plan = ClusterPlan(
        cluster.name,
        (setting,),
        cluster.metadata,
        use_client_protocol=cluster.use_client_protocol,
        traffic=cluster.traffic or ClusterTraffic(),
        hooked=True,
    )
    of = cluster.setting
    return {cluster.name: (plan, {of.name: of.endpoints_ref} if of.endpoints_ref else {})}


def plans_of_gateway(db: Db, key: str) -> Plans:
    """The clusters that a Gateway has for itself."""
    gateway = db.get(GATEWAYS, key)
    if gateway is None:
        return {}
    out: Plans = {}
    service = gateway.global_resources.proxy_service_cluster if gateway.global_resources is not None else None
    if service is not None:
        out[service.name] = (service_plan(joined(service, lambda ref: shape(db, ref))), refs(service))
    own = own_certificate(db)
    counts, modules = gateway_rate_limit_service(db), gateway_module_service(db)
    if counts is not None and _asks(db, rate_limit.GLOBAL) and (own is not None or not counts.tls):
        out[rate_limit.CLUSTER] = (rate_limit_plan(counts, own[0] if own is not None and counts.tls else ""), {})
    if modules is not None and _asks(db, wasm.NAME) and (own is not None or not modules.tls):
        out[wasm.CLUSTER] = (module_plan(modules, own[0] if own is not None and modules.tls else ""), {})
    log = gateway.access_log
    sinks: list[AlsAccessLog | OpenTelemetryAccessLog | Tracing] = [*log.als, *log.open_telemetry] if log is not None else []
    sinks += [gateway.tracing] if gateway.tracing is not None else []
    for sink in sinks:
        to = joined(sink.destination, lambda ref: shape(db, ref))
        plan = ClusterPlan(to.name, to.settings, to.metadata, traffic=sink.traffic or ClusterTraffic(), of_route=False)
        out.setdefault(to.name, (plan, refs(sink.destination)))
    return out


def _asks(db: Db, kind: str) -> bool:
    """Whether any route of the Gateway needs a filter of that kind."""
    pieces = (db.fold(FILTERS, RouteKey("filters", key)) for key in positions(db))
    return any(name.partition(PIECE)[0].startswith(kind) for own in pieces for name in own)


def with_endpoints(db: Db, plan: ClusterPlan, known: dict[str, str]) -> ClusterPlan:
    """The plan with its settings' endpoints, read now: only who needs addresses depends on them."""

    def fill(setting: DestinationSetting) -> DestinationSetting:
        ref = known.get(setting.name)
        return setting if ref is None else joined_setting(replace(setting, endpoints_ref=ref), lambda r: whole(db, r))

    return plan._replace(settings=tuple(fill(s) for s in plan.settings))


def clusters(db: Db, plans: Plans, at: str = "") -> dict[Need, Rendered]:
    """Clusters, and the secrets that they name. `at` tells them from clusters of the same name of another listener's."""
    out: dict[Need, Rendered] = {}
    metrics, health_log = gateway_metrics(db), gateway_health_log(db)
    waiting: Pending | None = None
    for name, (plan, known) in plans.items():
        if not endpoints.addressed(plan):
            raise Unrenderable(f"cluster {name}: an endpoint without an address")
        assignment = endpoints.assignment(with_endpoints(db, plan, known)) if destinations.is_dns(plan) else None
        made = destinations.cluster(plan, metrics, assignment, health_log)
        if db.get(OPTIONS, VALIDATE) and (fault := checks.found(CLUSTER_MESSAGE, made.body)) is not None:
            raise Unrenderable(f"cluster {name}: {fault}")
        try:
            final = changed_cluster(db, made, f"{at}{name}", plan.extensions) if plan.hooked else made
        except Pending as e:
            waiting = waiting or e
            continue
        if final is None:
            continue
        out[CLUSTER, name] = final
        injected = destinations.injected_by(plan)
        if injected is not None:
            out[SECRET, credential_injection.secret_name(injected)] = credential_secret(injected, opener(db))
        for setting in plan.settings:
            if setting.tls is not None:
                out |= {(SECRET, n): s for n, s in setting_secrets(setting, opener(db)).items()}
                out |= {(CLUSTER, n): c for n, c in other_servers(setting.tls).items()}
    if waiting is not None:
        raise waiting
    return out


def assignments(db: Db, plans: Plans, at: str = "") -> Outputs:
    """Endpoints of the clusters that get them by EDS."""
    out: dict[Need, Rendered] = {}
    waiting: Pending | None = None
    for name, (plan, known) in plans.items():
        if not destinations.uses_eds(plan) or not endpoints.addressed(plan):
            continue
        made = rendered(ENDPOINT, endpoints.assignment(with_endpoints(db, plan, known)))
        try:
            final = changed_endpoints(db, made, f"{at}{name}") if plan.hooked else made
        except Pending as e:
            waiting = waiting or e
            continue
        if final is not None:
            out[ENDPOINT, name] = final
    if waiting is not None:
        raise waiting
    return out


def route_clusters(db: Db, key: str) -> Outputs:
    shard = db.get(ROUTES, key)
    secrets: dict[Need, Rendered] = {}
    for each in shard.routes if isinstance(shard, HttpRouteShard) else ():
        of = each.credential_injection
        if of is not None and credential_fault(db, each) is None:
            secrets[SECRET, credential_injection.secret_name(of)] = credential_secret(of, opener(db))
        if each.security is not None:
            with contextlib.suppress(Unrenderable):
                secrets |= generic_secrets(each.security, opener(db))
    return clusters(db, plans_of_route(db, key), f"{listener_of(key)}/") | secrets


def route_assignments(db: Db, key: str) -> Outputs:
    return assignments(db, plans_of_route(db, key), f"{listener_of(key)}/")


def policy_clusters(db: Db, key: str) -> Outputs:
    policy = db.get(POLICIES, key)
    secrets: dict[Need, Rendered] = {}
    if policy is not None and policy.security is not None:
        # one that cannot be opened is said with the policy
        with contextlib.suppress(Unrenderable):
            secrets = generic_secrets(policy.security, opener(db))
    return clusters(db, plans_of_policy(db, key)) | secrets


def policy_assignments(db: Db, key: str) -> Outputs:
    return assignments(db, plans_of_policy(db, key))


def shared_clusters(db: Db, key: str) -> Outputs:
    return clusters(db, plans_of_shared(db, key))


def shared_assignments(db: Db, key: str) -> Outputs:
    return assignments(db, plans_of_shared(db, key))


def listener_secret_resources(db: Db, key: str) -> Outputs:
    listener = db.get(LISTENERS, key)
    if (
        listener is None
        or isinstance(listener, UdpListener)
        or listener.tls is None
        or key not in positions(db)
        or listener_fault(db, key) is not None
    ):
        return {}
    secrets: dict[Need, Rendered] = {(SECRET, n): s for n, s in listener_secrets(listener.tls, opener(db)).items()}
    return secrets | {(CLUSTER, n): c for n, c in other_servers(listener.tls).items()}


def gateway_clusters(db: Db, key: str) -> Outputs:
    plans = plans_of_gateway(db, key)
    return clusters(db, plans) | dict(assignments(db, plans))


def _leads_nowhere(db: Db, key: str) -> bool:
    """Whether a listener for connections has no route that it could serve."""
    listener = db.get(LISTENERS, key)
    refused = isinstance(listener, TcpListener) and listener.refused
    return refused or not db.group(ROUTE_OUTPUTS, RouteKey("stream", key))


def gateway_resources(db: Db, key: str) -> Outputs:
    """What a Gateway has whatever else is wrong with it: readiness, its certificate, where listeners without routes lead."""
    out: dict[Need, Rendered] = {}
    if any(_leads_nowhere(db, k) for k in positions(db) if not k.startswith("http.")):
        out[CLUSTER, EMPTY_CLUSTER] = empty_cluster()
    gateway = db.get(GATEWAYS, key)
    if gateway is not None and gateway.ready_listener is not None:
        name, made = listeners.ready_listener(gateway.ready_listener)
        ready = changed_listener(db, made, name, ())
        out |= {(LISTENER, name): ready} if ready is not None else {}
    with contextlib.suppress(Unrenderable):
        own = own_certificate(db)
        if own is not None:
            out[SECRET, own[0]] = own[1]
    return out


CLUSTERS: Collection[Need, Rendered] = Collection("clusters", source=ROUTES, fn=route_clusters)
ASSIGNMENTS: Collection[Need, Rendered] = Collection("assignments", source=ROUTES, fn=route_assignments)
SHARED_CLUSTERS: Collection[Need, Rendered] = Collection("shared_clusters", source=SHARED, fn=shared_clusters)
SHARED_ASSIGNMENTS: Collection[Need, Rendered] = Collection("shared_assignments", source=SHARED, fn=shared_assignments)
POLICY_CLUSTERS: Collection[Need, Rendered] = Collection("policy_clusters", source=POLICIES, fn=policy_clusters)
POLICY_ASSIGNMENTS: Collection[Need, Rendered] = Collection("policy_assignments", source=POLICIES, fn=policy_assignments)
LISTENER_SECRETS: Collection[Need, Rendered] = Collection("listener_secrets", source=LISTENERS, fn=listener_secret_resources)
GATEWAY_CLUSTERS: Collection[Need, Rendered] = Collection("gateway_clusters", source=GATEWAYS, fn=gateway_clusters)
GATEWAY_RESOURCES: Collection[Need, Rendered] = Collection("gateway_resources", source=GATEWAYS, fn=gateway_resources)
