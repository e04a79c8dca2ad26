"""TCP and TLS listeners and what they forward, with the field names of Envoy Gateway v1.9's xDS IR.

A route's shard never repeats its listener's certificates: `assemble` puts them where the assembled IR has them.
"""

from __future__ import annotations

from typing import Literal

from shared.features.security.authorization.ir import Authorization
from shared.ir.base import IR
from shared.ir.client import ClientSettings
from shared.ir.destination import Destination
from shared.ir.http import RouteOrder
from shared.ir.metadata import ResourceMetadata
from shared.ir.policy import Policies
from shared.ir.tls import ListenerTls
from shared.ir.traffic import ClusterTraffic
from shared.ir.unstructured import Refs


class TlsInspector(IR, frozen=True):
    """The names (SNI) that a route takes; '*' takes all."""

    snis: tuple[str, ...] = ()


class TcpTls(IR, frozen=True):
    """`inspector` alone is TLS that passes through; `terminate` is the listener's TLS, filled by `assemble` alone."""

    inspector: TlsInspector | None = None
    terminate: ListenerTls | None = None


class TcpRoute(ClusterTraffic, frozen=True):
    name: str = ""
    tls: TcpTls | None = None
    destination: Destination | None = None
    authorization: Authorization | None = None
    metadata: ResourceMetadata | None = None
    stat_name: str | None = None
    policies: Policies | None = None


class TcpListener(ClientSettings, frozen=True, kw_only=True):
    """`address`:`port` is what Envoy binds; `external_port` what clients dial. `routes` is filled by `assemble` alone.

    `refused`: its policy cannot be carried out, so none of its routes is served.
    """

    name: str
    address: str = ""
    port: int = 0
    external_port: int | None = None
    ip_family: Literal["IPv4", "IPv6", "DualStack"] | None = None
    metadata: ResourceMetadata | None = None
    tls: ListenerTls | None = None
    policies: Policies | None = None
    refused: bool = False
    extension_refs: Refs = ()
    routes: tuple[TcpRoute, ...] = ()


class TcpRouteShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.tcp.<listener>.<kind>.<ns>.<route>`: what one TLSRoute or TCPRoute gives one listener."""

    order: RouteOrder
    route: TcpRoute
