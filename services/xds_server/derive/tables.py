"""Input tables, one a kind of shard, and what everything else asks of the Gateway and of backends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from services.xds_server.render.names import USUAL, Names
from services.xds_server.render.secrets import opened
from services.xds_server.render.tls import OpenSecret, certificate_secret
from services.xds_server.render.tracing import tracing
from services.xds_server.render.types import (
    Need,
    Rendered,
)
from shared.features.extension.wasm.ir import ModuleService
from shared.features.parts.xds_values import Unrenderable
from shared.features.security.authorization.ir import GeoIpProvider
from shared.features.traffic.health_check.ir import HealthCheckLog
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.incremental import Db, Table, query
from shared.ir.base import IR
from shared.ir.destination import BackendCluster, Endpoint, EndpointsShard
from shared.ir.gateway import AccessLog, GatewayShard, Metrics
from shared.ir.http import HttpListener, HttpRouteShard
from shared.ir.joining import about_clusters, about_requests
from shared.ir.policy import Policies, PolicyShard
from shared.ir.shards import GATEWAY
from shared.ir.tcp import TcpListener, TcpRouteShard
from shared.ir.telemetry import FilterPosition, Tracing
from shared.ir.udp import UdpListener, UdpRouteShard
from shared.ir.unstructured import ExtensionShard
from shared.xds.message import BadMessage

AnyListener = HttpListener | TcpListener | UdpListener
AnyRoutes = HttpRouteShard | TcpRouteShard | UdpRouteShard

GATEWAYS: Table[str, GatewayShard] = Table("gateway")
LISTENERS: Table[str, AnyListener] = Table("listeners")
ROUTES: Table[str, AnyRoutes] = Table("routes")
ENDPOINTS: Table[str, EndpointsShard] = Table("endpoints")
SHARED: Table[str, BackendCluster] = Table("shared_clusters")
POLICIES: Table[str, PolicyShard] = Table("policies")
EXTENSIONS: Table[str, ExtensionShard] = Table("extension_objects")
TABLES: dict[type[IR], Table[str, Any]] = {
    GatewayShard: GATEWAYS,
    **dict.fromkeys((HttpListener, TcpListener, UdpListener), LISTENERS),
    **dict.fromkeys((HttpRouteShard, TcpRouteShard, UdpRouteShard), ROUTES),
    EndpointsShard: ENDPOINTS,
    BackendCluster: SHARED,
    PolicyShard: POLICIES,
    ExtensionShard: EXTENSIONS,
}
OPTIONS: Table[str, Any] = Table("options")
OPEN_SECRET = "open_secret"
VALIDATE = "validate"
NAMES = "names"
MISDIRECTED = "misdirected"
"""Whether requests that belong to another HTTPS listener of the port are refused."""


Port = tuple[str, str, int]
"""tcp or udp, address, port number."""
Outputs = Mapping[Need, Rendered]


@query
def positions(db: Db) -> dict[str, int]:
    """Listener key -> place in the Gateway's order; a listener shard that the Gateway does not name is not served."""
    gateway = db.get(GATEWAYS, GATEWAY)
    if gateway is None:
        return {}
    return {k: i for i, k in enumerate((*gateway.http_listeners, *gateway.tcp_listeners, *gateway.udp_listeners))}


@query
def gateway_metrics(db: Db) -> Metrics | None:
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.metrics if gateway is not None else None


@query
def gateway_tracing(db: Db) -> Tracing | None:
    """How requests are traced; None where it cannot be rendered: a listener is worth more than its traces."""
    found, fault = _tracing(db)
    return found if fault is None else None


def _tracing(db: Db) -> tuple[Tracing | None, str | None]:
    gateway = db.get(GATEWAYS, GATEWAY)
    found = gateway.tracing if gateway is not None else None
    try:
        tracing(found)
    except (Unrenderable, BadMessage) as e:
        return found, str(e)
    return found, None


@query
def gateway_filter_order(db: Db) -> tuple[FilterPosition, ...]:
    """Where the Gateway wants HTTP filters to stand other than usual."""
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.filter_order if gateway is not None else ()


@query
def gateway_rate_limit_service(db: Db) -> RateLimitService | None:
    """Who counts requests for all proxies."""
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.rate_limit_service if gateway is not None else None


@query
def gateway_module_service(db: Db) -> ModuleService | None:
    """Where proxies get Wasm modules."""
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.module_service if gateway is not None else None


@query
def gateway_places(db: Db) -> GeoIpProvider | None:
    """Where clients' places are looked up."""
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.geo_ip_provider if gateway is not None else None


@query
def gateway_health_log(db: Db) -> HealthCheckLog | None:
    gateway = db.get(GATEWAYS, GATEWAY)
    return gateway.health_check_log if gateway is not None else None


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
    faults = tuple(f"access log {t.path}: no format" for t in log.text if t.format is None) if log is not None else ()
    if (fault := _tracing(db)[1]) is not None:
        faults += (fault,)
    try:
        own_certificate(db)
    except Unrenderable as e:
        faults += (str(e),)
    return faults


def own_certificate(db: Db) -> tuple[str, Rendered] | None:
    """Name and secret of the certificate by which proxies show that they are ours."""
    gateway = db.get(GATEWAYS, GATEWAY)
    resources = gateway.global_resources if gateway is not None else None
    certificate = resources.envoy_client_certificate if resources is not None else None
    if certificate is None or certificate.sds is not None:
        return None
    return certificate.name, certificate_secret(certificate, opener(db))


def scheme(db: Db) -> Names:
    """How resources are named."""
    return db.get(OPTIONS, NAMES) or USUAL


def opener(db: Db) -> OpenSecret:
    found: OpenSecret | None = db.get(OPTIONS, OPEN_SECRET)
    if found is None:
        raise Unrenderable("no key to open secrets with")
    return found


PRESENT = Endpoint(host="present", port=0)
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


@query
def listener_policies(db: Db, listener_key: str) -> Policies | None:
    """What a listener names for all of its routes; routes read this and not the listener, which changes otherwise."""
    listener = db.get(LISTENERS, listener_key)
    return listener.policies if listener is not None else None


def policy(db: Db, key: str) -> PolicyShard | None:
    """A policy as its routes get it: its secrets opened, or in place of one whose secrets cannot be opened a refusal."""
    return _opened(db, key)[0]


@query
def policy_of_requests(db: Db, key: str) -> PolicyShard | None:
    """What of a policy its routes are made of."""
    found = policy(db, key)
    return about_requests(found) if found is not None else None


@query
def policy_of_clusters(db: Db, key: str) -> PolicyShard | None:
    """What of a policy the clusters of its routes are made of."""
    found = policy(db, key)
    return about_clusters(found) if found is not None else None


def policy_fault(db: Db, key: str) -> str | None:
    """Why a policy cannot be carried out."""
    return _opened(db, key)[1]


@query
def _opened(db: Db, key: str) -> tuple[PolicyShard | None, str | None]:
    shard = db.get(POLICIES, key)
    if shard is None or shard.security is None:
        return shard, None
    try:
        return replace(shard, security=opened(shard.security, opener(db))), None
    except Unrenderable as e:
        return replace(shard, security=None, refuses=True), str(e)


def port_of(listener: AnyListener) -> Port:
    return ("udp" if isinstance(listener, UdpListener) else "tcp", listener.address, listener.port)


def listener_of(route_key: str) -> str:
    """The key of the listener shard that a route shard's key stands under."""
    return ".".join(route_key.split(".")[:2])
