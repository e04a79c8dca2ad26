"""Kubernetes' own kinds, and the multi-cluster ServiceImport, as far as translation reads them."""

from __future__ import annotations

import msgspec

from shared.api.base import Object, Spec


class Namespace(Object, frozen=True):
    """Only its labels matter."""


class ServicePort(Spec, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None


class ServiceSpec(Spec, frozen=True):
    type: str = "ClusterIP"
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    traffic_distribution: str | None = None
    ports: tuple[ServicePort, ...] = ()


class Service(Object, frozen=True):
    spec: ServiceSpec = ServiceSpec()


class ServiceImportSpec(Spec, frozen=True):
    ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()


class ServiceImport(Object, frozen=True):
    spec: ServiceImportSpec = ServiceImportSpec()


class EndpointConditions(Spec, frozen=True):
    """None is 'unknown', which the API defines to mean: as if ready."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class SliceEndpoint(Spec, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    zone: str | None = None


class EndpointPort(Spec, frozen=True):
    name: str = ""
    protocol: str = "TCP"
    port: int | None = None


class EndpointSlice(Object, frozen=True):
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Secret(Object, frozen=True):
    """`data` values are sealed tokens (or base64 where nothing seals); only the translator's `open_secret` reads them."""

    type: str = "Opaque"
    data: dict[str, str] = msgspec.field(default_factory=dict)


class ConfigMap(Object, frozen=True):
    data: dict[str, str] = msgspec.field(default_factory=dict)
    binary_data: dict[str, str] = msgspec.field(default_factory=dict)


class TrustBundleSpec(Spec, frozen=True):
    trust_bundle: str = ""


class ClusterTrustBundle(Object, frozen=True):
    """Authorities in PEM, for the whole cluster."""

    spec: TrustBundleSpec = TrustBundleSpec()
