"""What belongs to a Gateway as a whole: telemetry, readiness, its own endpoints, the order of its listeners."""

from __future__ import annotations

from shared.features.extension.wasm.ir import ModuleService
from shared.features.security.authorization.ir import GeoIpProvider
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.ir.base import IR
from shared.ir.destination import BackendCluster, Destination
from shared.ir.http import HttpListener
from shared.ir.match import MapEntry
from shared.ir.patch import EnvoyPatchPolicy
from shared.ir.tcp import TcpListener
from shared.ir.telemetry import AlsAccessLog, FilterPosition, HealthCheckLog, OpenTelemetryAccessLog, Tracing
from shared.ir.tls import TlsCertificate
from shared.ir.udp import UdpListener
from shared.ir.unstructured import ExtensionServer, Refs


class TextAccessLog(IR, frozen=True):
    path: str
    format: str | None = None
    cel_matches: tuple[str, ...] = ()
    log_type: str | None = None


class JsonAccessLog(IR, frozen=True):
    path: str = ""
    json: tuple[MapEntry, ...] = ()
    cel_matches: tuple[str, ...] = ()
    log_type: str | None = None


class AccessLog(IR, frozen=True):
    text: tuple[TextAccessLog, ...] = ()
    json: tuple[JsonAccessLog, ...] = ()
    als: tuple[AlsAccessLog, ...] = ()
    open_telemetry: tuple[OpenTelemetryAccessLog, ...] = ()


class Metrics(IR, frozen=True):
    enable_per_endpoint_stats: bool = False
    enable_request_response_sizes_stats: bool = False
    enable_virtual_host_stats: bool = False


class ReadyListener(IR, frozen=True):
    """The listener that answers readiness probes; it is Headgate's own, known by standing here, not by a name."""

    address: str
    port: int
    path: str
    ip_family: str


class GlobalResources(IR, frozen=True):
    proxy_service_cluster: Destination | None = None
    envoy_client_certificate: TlsCertificate | None = None


class GatewayShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.gateway`. `*_listeners` are listener keys (shards.py) in the Gateway's order.

    `rate_limit_service` is what counts for all proxies, `module_service` where they get Wasm modules; the certificate by which they show
    themselves there stands in `global_resources` and is left out of the assembled IR where no route needs it.
    """

    access_log: AccessLog | None = None
    tracing: Tracing | None = None
    health_check_log: HealthCheckLog | None = None
    filter_order: tuple[FilterPosition, ...] = ()
    metrics: Metrics | None = None
    global_resources: GlobalResources | None = None
    ready_listener: ReadyListener | None = None
    geo_ip_provider: GeoIpProvider | None = None
    rate_limit_service: RateLimitService | None = None
    module_service: ModuleService | None = None
    http_listeners: tuple[str, ...] = ()
    tcp_listeners: tuple[str, ...] = ()
    udp_listeners: tuple[str, ...] = ()
    extension_server_policies: Refs = ()
    extension_servers: tuple[ExtensionServer, ...] = ()


class Xds(IR, frozen=True):
    """One Gateway's whole xDS IR, assembled: what Envoy Gateway calls `ir.Xds`."""

    access_log: AccessLog | None = None
    tracing: Tracing | None = None
    health_check_log: HealthCheckLog | None = None
    filter_order: tuple[FilterPosition, ...] = ()
    metrics: Metrics | None = None
    global_resources: GlobalResources | None = None
    ready_listener: ReadyListener | None = None
    http: tuple[HttpListener, ...] = ()
    tcp: tuple[TcpListener, ...] = ()
    udp: tuple[UdpListener, ...] = ()
    backend_clusters: tuple[BackendCluster, ...] = ()
    envoy_patch_policies: tuple[EnvoyPatchPolicy, ...] = ()
    extension_server_policies: Refs = ()
