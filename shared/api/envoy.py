"""Envoy Gateway's own kinds, as far as translation reads them.

An EnvoyProxy also keeps its object as written: infrastructure gets it whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import LabelSelector, Object, Spec
from shared.api.gateway import SecretObjectReference
from shared.api.telemetry import ProxyTelemetry
from shared.features.extension.dynamic_module.spec import ModuleEntrySpec

GROUP = "gateway.envoyproxy.io"


class MergeBackends(Spec, frozen=True):
    """Backends whose routes share a cluster; all of them without a selector."""

    selector: LabelSelector | None = None


class FilterPosition(Spec, frozen=True):
    """A filter's place: before or after another one."""

    name: str
    before: str | None = None
    after: str | None = None


class KubernetesProvider(Spec, frozen=True):
    use_listener_port_as_container_port: bool = False
    envoy_daemon_set: dict[str, Any] | None = None
    envoy_deployment: dict[str, Any] | None = None


class ProxyProvider(Spec, frozen=True):
    type: str
    kubernetes: KubernetesProvider | None = None


class ClientTls(Spec, frozen=True):
    """How Envoy presents itself to TLS backends. An empty `alpn_protocols` switches ALPN off, None leaves the default."""

    client_certificate_ref: SecretObjectReference | None = None
    min_version: str | None = None
    max_version: str | None = None
    ciphers: tuple[str, ...] = ()
    ecdh_curves: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    alpn_protocols: tuple[str, ...] | None = None


class GeoIpDatabaseFile(Spec, frozen=True):
    path: str


class GeoIpDatabase(Spec, frozen=True):
    """A file on the proxy's disk."""

    local: GeoIpDatabaseFile | None = None


class MaxMindSpec(Spec, frozen=True):
    city_db_source: GeoIpDatabase | None = None
    country_db_source: GeoIpDatabase | None = None
    asn_db_source: GeoIpDatabase | None = None
    isp_db_source: GeoIpDatabase | None = None
    anonymous_ip_db_source: GeoIpDatabase | None = None


class GeoIpProviderSpec(Spec, frozen=True):
    type: str = "MaxMind"
    max_mind: MaxMindSpec | None = None


class GeoIpSpec(Spec, frozen=True):
    """Where proxies look up the places of their clients."""

    provider: GeoIpProviderSpec


class LuaSettings(Spec, frozen=True):
    """What becomes of scripts before proxies get them; it counts before `luaValidation`."""

    validation_type: str | None = None


class EnvoyProxySpec(Spec, frozen=True):
    merge_gateways: bool | None = None
    merge_type: str | None = None
    routing_type: str | None = None
    ip_family: str | None = None
    preserve_route_order: bool = False
    provider: ProxyProvider | None = None
    telemetry: ProxyTelemetry = ProxyTelemetry()
    merge_backends: MergeBackends | None = None
    filter_order: tuple[FilterPosition, ...] = ()
    backend_tls: ClientTls | None = msgspec.field(default=None, name="backendTLS")
    dynamic_modules: tuple[ModuleEntrySpec, ...] = ()
    lua: LuaSettings = LuaSettings()
    lua_validation: str | None = None
    geo_ip: GeoIpSpec | None = msgspec.field(default=None, name="geoIP")


class EnvoyProxy(Object, frozen=True):
    """`raw` is the object as written, without what the API server added."""

    spec: EnvoyProxySpec = EnvoyProxySpec()
    raw: dict[str, Any] = msgspec.field(default_factory=dict)


class FqdnEndpoint(Spec, frozen=True):
    hostname: str
    port: int


class IpEndpoint(Spec, frozen=True):
    address: str
    port: int


class UnixSocket(Spec, frozen=True):
    path: str


class BackendEndpoint(Spec, frozen=True):
    fqdn: FqdnEndpoint | None = None
    ip: IpEndpoint | None = None
    unix: UnixSocket | None = None
    hostname: str | None = None
    zone: str | None = None


class BackendTls(ClientTls, frozen=True):
    """TLS to one Backend: what its server must prove, and how Envoy presents itself there."""

    insecure_skip_verify: bool = False
    auto_sni_from_endpoint_hostname: bool = msgspec.field(default=False, name="autoSNIFromEndpointHostname")
    sni: str | None = None
    ca_certificate_refs: tuple[SecretObjectReference, ...] = ()
    well_known_ca_certificates: str | None = msgspec.field(default=None, name="wellKnownCACertificates")


class BackendSpec(Spec, frozen=True):
    type: str = "Endpoints"
    endpoints: tuple[BackendEndpoint, ...] = ()
    app_protocols: tuple[str, ...] = ()
    fallback: bool = False
    tls: BackendTls | None = None


class Backend(Object, frozen=True):
    spec: BackendSpec = BackendSpec()
