"""Where requests go. A setting names its endpoints' shard; endpoints never stand in a route's shard."""

from __future__ import annotations

from typing import Literal

import msgspec

from shared.features.route.credential_injection.ir import CredentialInjection
from shared.features.route.url_rewrite.ir import UrlRewrite
from shared.ir.base import IR
from shared.ir.locality import PreferLocal
from shared.ir.match import AddHeader
from shared.ir.metadata import ResourceMetadata
from shared.ir.tls import UpstreamTls
from shared.ir.traffic import ClusterTraffic

AddressType = Literal["IP", "FQDN", "UDS", "STATIC", "Mixed"]
AppProtocol = Literal["HTTP", "HTTP2", "GRPC", "HTTPS", "TCP", "UDP", "TLS"]


class Endpoint(IR, frozen=True, kw_only=True):
    """host and port, or a Unix socket's path; `zone` is the topology zone; `draining`: serve what is open, nothing new."""

    host: str = ""
    # always written, as Envoy Gateway does, which a default of its own kind would not be
    port: int = msgspec.field(default_factory=int)
    path: str | None = None
    hostname: str | None = None
    zone: str | None = None
    draining: bool = False


class EndpointsShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.endpoints.<kind>.<ns>.<service>.<port>`: one backend's addresses, once for all its routes."""

    address_type: AddressType | None = None
    endpoints: tuple[Endpoint, ...] = ()


class BackendFilters(IR, frozen=True):
    """Filters of one backendRef alone."""

    add_request_headers: tuple[AddHeader, ...] = ()
    remove_request_headers: tuple[str, ...] = ()
    add_response_headers: tuple[AddHeader, ...] = ()
    remove_response_headers: tuple[str, ...] = ()
    url_rewrite: UrlRewrite | None = None
    credential_injection: CredentialInjection | None = None


class DestinationSetting(IR, frozen=True):
    """One backend of a destination.

    `endpoints_ref` is the key of its EndpointsShard (see shared/ir/shards.py); `assemble` replaces it by that shard's
    address type and endpoints, so the assembled IR looks like Envoy Gateway's. `backend_cluster` names the cluster that it
    shares with other routes; `assemble` makes a BackendClusterRef of it.
    """

    name: str = ""
    weight: int | None = None
    priority: int | None = None
    protocol: AppProtocol | None = None
    address_type: AddressType | None = None
    endpoints: tuple[Endpoint, ...] = ()
    endpoints_ref: str = ""
    backend_cluster: str = ""
    invalid: bool = False
    is_dynamic_resolver: bool = False
    is_custom_backend: bool = False
    force_http1_upstream: bool = False
    filters: BackendFilters | None = None
    prefer_local: PreferLocal | None = None
    tls: UpstreamTls | None = None
    metadata: ResourceMetadata | None = None


class BackendClusterRef(IR, frozen=True):
    """A share of a destination's requests that goes to a shared cluster."""

    name: str
    weight: int | None = None


class BackendCluster(IR, frozen=True):
    """`ir.xds.<ns>.<name>.clusters.<kind>.<ns>.<backend>.<port>.<protocol>`: one cluster for all routes to a backend.

    `policies` are keys of the traffic policies that speak for it; they are joined in where it is rendered.
    """

    name: str
    setting: DestinationSetting
    metadata: ResourceMetadata | None = None
    traffic: ClusterTraffic | None = None
    use_client_protocol: bool = False
    policies: tuple[str, ...] = ()


class Destination(IR, frozen=True):
    name: str
    stat_name: str | None = None
    settings: tuple[DestinationSetting, ...] = ()
    backend_cluster_refs: tuple[BackendClusterRef, ...] = ()
    metadata: ResourceMetadata | None = None
