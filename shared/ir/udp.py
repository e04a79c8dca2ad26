"""UDP listeners and what they forward, with the field names of Envoy Gateway v1.9's xDS IR."""

from __future__ import annotations

from typing import Literal

from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.http import RouteOrder
from shared.ir.metadata import ResourceMetadata
from shared.ir.policy import Policies
from shared.ir.traffic import ClusterTraffic
from shared.ir.unstructured import Refs


class UdpRoute(ClusterTraffic, frozen=True):
    name: str = ""
    destination: Destination | None = None
    policies: Policies | None = None


class UdpListener(IR, frozen=True):
    """`address`:`port` is what Envoy binds; `external_port` what clients dial. `route` is filled by `assemble` alone."""

    name: str
    address: str = ""
    port: int = 0
    external_port: int | None = None
    ip_family: Literal["IPv4", "IPv6", "DualStack"] | None = None
    metadata: ResourceMetadata | None = None
    policies: Policies | None = None
    extension_refs: Refs = ()
    route: UdpRoute | None = None


class UdpRouteShard(IR, frozen=True):
    """`ir.xds.<ns>.<name>.udp.<listener>.<kind>.<ns>.<route>`: what one UDPRoute gives one listener."""

    order: RouteOrder
    route: UdpRoute
