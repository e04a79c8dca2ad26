"""HTTP listeners and their routes, with the field names of Envoy Gateway v1.9's xDS IR."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.features.client.grpc.ir import GrpcSettings
from shared.features.client.headers.ir import Headers, HostSettings
from shared.features.client.health_check.ir import ClientHealthCheck
from shared.features.client.http1.ir import Http1
from shared.features.client.http3.ir import Http3
from shared.features.client.ip_detection.ir import ClientIpDetection
from shared.features.client.path.ir import PathSettings
from shared.features.route.cors.ir import Cors
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.mirror.ir import MirrorPolicy
from shared.features.route.redirect.ir import Redirect
from shared.features.route.retry.ir import Retry
from shared.features.route.url_rewrite.ir import UrlRewrite
from shared.features.security.authorization.ir import GeoIpProvider
from shared.features.traffic.http2.ir import Http2
from shared.ir.base import IR
from shared.ir.client import ClientSettings
from shared.ir.destination import Destination
from shared.ir.extension import ExtensionFeatures
from shared.ir.match import AddHeader, StringMatch
from shared.ir.metadata import ResourceMetadata
from shared.ir.policy import Policies
from shared.ir.security import SecurityFeatures
from shared.ir.tls import ListenerTls
from shared.ir.traffic import Traffic
from shared.ir.unstructured import Refs


class SessionCookie(IR, frozen=True):
    name: str
    path: str = ""
    ttl: str | None = None


class SessionHeader(IR, frozen=True):
    name: str


class SessionPersistence(IR, frozen=True):
    cookie: SessionCookie | None = None
    header: SessionHeader | None = None


class HttpRoute(IR, frozen=True):
    """One match of one rule on one hostname: what becomes one Envoy route. `policies` are joined in where it is rendered."""

    name: str = ""
    hostname: str = ""
    is_http2: bool = False
    metadata: ResourceMetadata | None = None
    path_match: StringMatch | None = None
    header_matches: tuple[StringMatch, ...] = ()
    query_param_matches: tuple[StringMatch, ...] = ()
    cookie_matches: tuple[StringMatch, ...] = ()
    destination: Destination | None = None
    add_request_headers: tuple[AddHeader, ...] = ()
    remove_request_headers: tuple[str, ...] = ()
    add_response_headers: tuple[AddHeader, ...] = ()
    remove_response_headers: tuple[str, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    url_rewrite: UrlRewrite | None = None
    credential_injection: CredentialInjection | None = None
    mirrors: tuple[MirrorPolicy, ...] = ()
    timeout: str | None = None
    retry: Retry | None = None
    session_persistence: SessionPersistence | None = None
    cors: Cors | None = None
    security: SecurityFeatures | None = None
    envoy_extensions: ExtensionFeatures | None = None
    traffic: Traffic | None = None
    use_client_protocol: bool = False
    stat_name: str | None = None
    policies: Policies | None = None
    extension_refs: Refs = ()
    extension_server_policies: Refs = ()


class HttpListener(ClientSettings, frozen=True, kw_only=True):
    """`address`:`port` is what Envoy binds; `external_port` what clients dial. `routes` is filled by `assemble` alone.

    `refused`: its policy cannot be carried out, so every request is answered 500; `assemble` says so in the routes.
    """

    name: str
    address: str = ""
    port: int = 0
    external_port: int | None = None
    ip_family: Literal["IPv4", "IPv6", "DualStack"] | None = None
    hostnames: tuple[str, ...] = ()
    metadata: ResourceMetadata | None = None
    path: PathSettings | None = None
    tls: ListenerTls | None = None
    grpc: GrpcSettings | None = None
    tls_overlaps: bool = False
    is_http2: bool = False
    request_id: str | None = None
    client_ip_detection: ClientIpDetection | None = None
    headers: Headers | None = None
    http1: Http1 | None = None
    http2: Http2 | None = None
    http3: Http3 | None = None
    health_check: ClientHealthCheck | None = None
    geo_ip_provider: GeoIpProvider | None = msgspec.field(default=None, name="geoIPProvider")
    host: HostSettings | None = None
    match_backend_scheme: bool = False
    preserve_route_order: bool = False
    policies: Policies | None = None
    refused: bool = False
    extension_refs: Refs = ()
    routes: tuple[HttpRoute, ...] = ()


class RouteOrder(IR, frozen=True):
    """Among equal matches the older object wins, then the alphabet.

    HTTPRoutes come before GRPCRoutes, TLSRoutes before TCPRoutes (kind_rank).
    """

    kind_rank: int = 0
    created: str = ""
    namespace: str = ""
    name: str = ""


class HttpRouteShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.http.<listener>.<kind>.<ns>.<route>`: all that one route object gives one listener."""

    order: RouteOrder
    routes: tuple[HttpRoute, ...] = ()
