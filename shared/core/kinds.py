"""Which kinds Headgate reads, and whether they live in a namespace: what a provider must know of an object, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

GATEWAY_API = "gateway.networking.k8s.io"
ENVOY_GATEWAY = "gateway.envoyproxy.io"
MULTICLUSTER = "multicluster.x-k8s.io"
DISCOVERY = "discovery.k8s.io"
CERTIFICATES = "certificates.k8s.io"


class KindInfo(NamedTuple):
    """`wanted`: only objects that something refers to leave the provider (Secrets and ConfigMaps may be many, and private).

    `version`: the one in which an API server is asked for it; '': the one that the server likes best.
    """

    group: str
    kind: str
    namespaced: bool = True
    wanted: bool = False
    version: str = ""


_ALL = (
    KindInfo(GATEWAY_API, "GatewayClass", namespaced=False),
    KindInfo(GATEWAY_API, "Gateway"),
    KindInfo(GATEWAY_API, "ListenerSet"),
    KindInfo(GATEWAY_API, "HTTPRoute"),
    KindInfo(GATEWAY_API, "GRPCRoute"),
    KindInfo(GATEWAY_API, "TLSRoute"),
    KindInfo(GATEWAY_API, "TCPRoute"),
    KindInfo(GATEWAY_API, "UDPRoute"),
    KindInfo(GATEWAY_API, "ReferenceGrant"),
    KindInfo(GATEWAY_API, "BackendTLSPolicy"),
    KindInfo(ENVOY_GATEWAY, "EnvoyProxy"),
    KindInfo(ENVOY_GATEWAY, "Backend"),
    KindInfo(ENVOY_GATEWAY, "ClientTrafficPolicy"),
    KindInfo(ENVOY_GATEWAY, "BackendTrafficPolicy"),
    KindInfo(ENVOY_GATEWAY, "SecurityPolicy"),
    KindInfo(ENVOY_GATEWAY, "EnvoyExtensionPolicy"),
    KindInfo(ENVOY_GATEWAY, "EnvoyPatchPolicy"),
    KindInfo(ENVOY_GATEWAY, "HTTPRouteFilter"),
    KindInfo(MULTICLUSTER, "ServiceImport"),
    KindInfo(DISCOVERY, "EndpointSlice"),
    KindInfo(CERTIFICATES, "ClusterTrustBundle", namespaced=False),
    KindInfo("", "Service"),
    KindInfo("", "Namespace", namespaced=False),
    KindInfo("", "Node", namespaced=False),
    KindInfo("", "Secret", wanted=True),
    KindInfo("", "ConfigMap", wanted=True),
)
Kinds = Mapping[tuple[str, str], KindInfo]
"""By group and kind. The static configuration may add to Headgate's own."""
KINDS: Kinds = {(k.group, k.kind): k for k in _ALL}
