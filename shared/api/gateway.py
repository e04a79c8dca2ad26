"""Gateway API: classes, Gateways, ReferenceGrants and the references that all routes share."""

from __future__ import annotations

import msgspec

from shared.api.base import LabelSelector, Object, Spec

GROUP = "gateway.networking.k8s.io"


class ParametersReference(Spec, frozen=True):
    group: str
    kind: str
    name: str
    namespace: str | None = None


class GatewayClassSpec(Spec, frozen=True):
    controller_name: str
    parameters_ref: ParametersReference | None = None


class GatewayClass(Object, frozen=True):
    spec: GatewayClassSpec


class RouteGroupKind(Spec, frozen=True):
    kind: str
    group: str | None = None


class RouteNamespaces(Spec, frozen=True):
    from_: str = msgspec.field(default="Same", name="from")
    selector: LabelSelector | None = None


class AllowedRoutes(Spec, frozen=True):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


class ListenerNamespaces(Spec, frozen=True):
    """Whose ListenerSets a Gateway takes: nobody's unless it says so."""

    from_: str = msgspec.field(default="None", name="from")
    selector: LabelSelector | None = None


class AllowedListeners(Spec, frozen=True):
    namespaces: ListenerNamespaces = ListenerNamespaces()


class SecretObjectReference(Spec, frozen=True):
    """Also of a ConfigMap, where `kind` says so."""

    name: str
    group: str = ""
    kind: str = "Secret"
    namespace: str | None = None


class ListenerTlsConfig(Spec, frozen=True):
    mode: str | None = None
    certificate_refs: tuple[SecretObjectReference, ...] = ()
    options: dict[str, str] = msgspec.field(default_factory=dict)


class Listener(Spec, frozen=True):
    port: int
    protocol: str
    name: str = ""
    hostname: str | None = None
    tls: ListenerTlsConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


class GatewayAddress(Spec, frozen=True):
    type: str = "IPAddress"
    value: str = ""


class GatewayInfrastructure(Spec, frozen=True):
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    parameters_ref: ParametersReference | None = None


class FrontendValidation(Spec, frozen=True):
    ca_certificate_refs: tuple[SecretObjectReference, ...] = ()
    mode: str = "AllowValidOnly"


class TlsValidation(Spec, frozen=True):
    validation: FrontendValidation | None = None


class PortTlsValidation(Spec, frozen=True):
    port: int
    tls: TlsValidation = TlsValidation()


class FrontendTls(Spec, frozen=True):
    default: TlsValidation = TlsValidation()
    per_port: tuple[PortTlsValidation, ...] = ()


class BackendClientTls(Spec, frozen=True):
    client_certificate_ref: SecretObjectReference | None = None


class GatewayTls(Spec, frozen=True):
    frontend: FrontendTls | None = None
    backend: BackendClientTls | None = None


class GatewaySpec(Spec, frozen=True):
    gateway_class_name: str
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[GatewayAddress, ...] = ()
    infrastructure: GatewayInfrastructure | None = None
    tls: GatewayTls | None = None
    allowed_listeners: AllowedListeners = AllowedListeners()


class Gateway(Object, frozen=True):
    spec: GatewaySpec


class GrantFrom(Spec, frozen=True):
    group: str
    kind: str
    namespace: str


class GrantTo(Spec, frozen=True):
    group: str
    kind: str
    name: str | None = None


class ReferenceGrantSpec(Spec, frozen=True):
    from_: tuple[GrantFrom, ...] = msgspec.field(default=(), name="from")
    to: tuple[GrantTo, ...] = ()


class ReferenceGrant(Object, frozen=True):
    spec: ReferenceGrantSpec = ReferenceGrantSpec()


class ParentReference(Spec, frozen=True, omit_defaults=True):
    """As it was written: a status repeats it unchanged."""

    name: str
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    section_name: str | None = None
    port: int | None = None


class BackendObjectReference(Spec, frozen=True):
    name: str
    group: str = ""
    kind: str = "Service"
    namespace: str | None = None
    port: int | None = None


class ListenerSetSpec(Spec, frozen=True):
    parent_ref: ParentReference
    listeners: tuple[Listener, ...] = ()


class ListenerSet(Object, frozen=True):
    spec: ListenerSetSpec
