"""Backend references: what a route may send requests to, and how; addresses stay in their own shards."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from services.translator.stages.backend_tls_policies import policy_for, vouched_for
from services.translator.stages.endpoints import BY_ADDRESS, Transport, address_type, key_of, service_port
from services.translator.stages.grants import permitted
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.tables import (
    BACKENDS,
    INVALID,
    SERVICE_IMPORTS,
    SERVICES,
    core_ref,
    known_extension,
    service_import_ref,
    settings,
)
from services.translator.stages.upstream_tls import backend_tls
from services.translator.stages.views import view
from shared.api.core import Service, ServiceImport
from shared.api.envoy import GROUP as ENVOY
from shared.api.envoy import Backend
from shared.api.gateway import GROUP, BackendObjectReference
from shared.api.parse import MCS_GROUP
from shared.core.refs import ObjectRef
from shared.features.parts.hostname import is_ip, is_subdomain
from shared.features.parts.problem import Problem, unresolved
from shared.incremental import Db, query
from shared.ir.destination import AppProtocol, DestinationSetting
from shared.ir.locality import ForceLocal, PreferLocal

_GROUPS = {"Service": "", "ServiceImport": MCS_GROUP, "Backend": ENVOY}
_WEBSOCKET = ("kubernetes.io/ws", "kubernetes.io/wss", "gateway.envoyproxy.io/ws", "gateway.envoyproxy.io/wss")
_HTTP2 = ("kubernetes.io/h2c", "gateway.envoyproxy.io/h2c")
_HTTP = ("HTTP", "GRPC")
CUSTOM_BACKENDS = ("HTTPRoute", "GRPCRoute")
"""Kinds of routes whose backends may be of extension servers' kinds."""
_LOOPBACK = ("127.", "::1")


class Upstream(msgspec.Struct, frozen=True):
    """One backend as any route sees it: the setting without name and weight, or why there is none.

    `policy` is the BackendTLSPolicy that has a say in it.
    """

    setting: DestinationSetting | None = None
    problem: Problem | None = None
    policy: ObjectRef | None = None
    extension: ObjectRef | None = None
    """The object of an extension server's kind that stands for the backend."""


PROTOCOLS: dict[str, AppProtocol] = {"HTTPRoute": "HTTP", "GRPCRoute": "GRPC", "TLSRoute": "TCP", "TCPRoute": "TCP", "UDPRoute": "UDP"}
"""What a route of each kind speaks to its backends, where these do not ask for another."""


def upstream(
    db: Db, ref: BackendObjectReference, namespace: str, kind: str, gateway: ObjectRef, by_address: bool | None = None
) -> Upstream:
    """What a reference of a route of this kind in `namespace` comes to at this Gateway.

    `by_address`: to a Service's own address or to its endpoints; None: as the Gateway says.
    """
    if (ref.group, ref.kind) in settings(db).extensions.resources and kind in CUSTOM_BACKENDS:
        return _custom(db, ObjectRef(ref.group, ref.kind, ref.namespace or namespace, ref.name), namespace, kind)
    if ref.group not in _GROUPS.values():
        text = "Group is invalid, only the core API group, multicluster.x-k8s.io and gateway.envoyproxy.io are supported"
        return _problem(text, "InvalidKind")
    if ref.kind not in _GROUPS:
        return _problem("Kind is invalid, only Service, MCS ServiceImport and Envoy Gateway Backend are supported", "InvalidKind")
    target = ObjectRef(ref.group, ref.kind, ref.namespace or namespace, ref.name)
    if not permitted(db, GROUP, kind, namespace, target):
        text = f"Backend ref to {target.kind} {target.namespace}/{target.name} not permitted by any ReferenceGrant."
        return _problem(text, "RefNotPermitted")
    protocol = PROTOCOLS[kind]
    if ref.kind == "Backend":
        found = backend_upstream(db, target.namespace, target.name, protocol)
        return with_tls(db, found, target, ref.port, gateway)
    if ref.port is None:
        return _problem("A valid port number corresponding to a port on the Service must be specified", "PortNotSpecified")
    if by_address is None:
        seen = view(db, gateway)
        by_address = seen is not None and seen.routes_by_address
    found = service_upstream(db, target.kind, target.namespace, target.name, ref.port, by_address, protocol)
    return with_tls(db, found, target, ref.port, gateway)


def _custom(db: Db, target: ObjectRef, namespace: str, kind: str) -> Upstream:
    """A backend whose cluster an extension server makes what it is."""
    if not permitted(db, GROUP, kind, namespace, target):
        text = f"Backend ref to {target.kind} {target.namespace}/{target.name} not permitted by any ReferenceGrant."
        return _problem(text, "RefNotPermitted")
    if not known_extension(db, target):
        return _problem(f"custom backend {target.kind} {target.namespace}/{target.name} not found", "BackendNotFound")
    return Upstream(DestinationSetting(name="", is_custom_backend=True), extension=target)


def section_of(db: Db, target: ObjectRef, port: int | None) -> str | None:
    """How a policy names a backend's port: by its name, a Backend's by its number."""
    if port is None:
        return None
    if target.kind == "Backend":
        return str(port)
    found = service_port(db, target.kind, target.namespace, target.name, port, None)
    return found.name or None if found is not None else None


def with_tls(db: Db, found: Upstream, target: ObjectRef, port: int | None, gateway: ObjectRef) -> Upstream:
    """What was found, spoken to in TLS where the backend or a policy for it says so."""
    if found.setting is None:
        return found
    section = section_of(db, target, port)
    policy, tls = policy_for(db, target, section), backend_tls(db, target, section, gateway)
    if isinstance(tls, str):
        return replace(_problem(tls, "InvalidBackendTLS"), policy=policy)
    return Upstream(replace(found.setting, tls=tls), policy=policy) if tls is not None else found


def _problem(text: str, reason: str) -> Upstream:
    return Upstream(problem=unresolved(text, reason))


@query
def service_upstream(db: Db, kind: str, namespace: str, name: str, port: int, by_address: bool, default: AppProtocol) -> Upstream:
    """A Service's or ServiceImport's port, spoken to as `default` unless it says otherwise."""
    row: Service | ServiceImport | None
    if kind == "ServiceImport":
        imported = row = db.get(SERVICE_IMPORTS, service_import_ref(namespace, name))
        addresses = imported.spec.ips if imported is not None else ()
    else:
        service = row = db.get(SERVICES, core_ref("Service", namespace, name))
        if service is not None and service.spec.type == "ExternalName":
            text = f"Service {namespace}/{name} is of type ExternalName, which is not supported as a backend"
            return _problem(f"{text}; use an Envoy Gateway Backend resource with an FQDN endpoint instead", "UnsupportedValue")
        addresses = (service.spec.cluster_ip,) if service is not None and service.spec.cluster_ip not in ("", "None") else ()
    if row is None:
        return _problem(f"{'service' if kind == 'Service' else 'service import'} {namespace}/{name} not found", "BackendNotFound")
    transport: Transport = "UDP" if default == "UDP" else "TCP"
    at = service_port(db, kind, namespace, name, port, transport)
    if at is None:
        return _problem(f"{transport} Port {port} not found on {kind} {namespace}/{name}", "PortNotFound")
    key = key_of(kind, namespace, name, port, transport, by_address and bool(addresses))
    if address_type(db, key) == "Mixed":
        return _problem("mixed endpointslice address type for the same backendRef is not supported", "UnsupportedAddressType")
    setting = DestinationSetting(
        name="",
        protocol=protocol_of(at.app_protocol, default),
        force_http1_upstream=at.app_protocol in _WEBSOCKET and default in _HTTP,
        endpoints_ref=key,
        prefer_local=prefer_local(row) if isinstance(row, Service) else None,
        metadata=resource_metadata(kind, row.metadata, str(port)),
    )
    return Upstream(setting)


def prefer_local(service: Service) -> PreferLocal | None:
    """Topology-aware routing as the Service asks for it: always, or (the older annotation) where each zone has three endpoints."""
    if service.spec.traffic_distribution is not None:
        return PreferLocal(min_endpoints_threshold=1, force=ForceLocal(min_endpoints_in_zone_threshold=1))
    if service.metadata.annotations.get("service.kubernetes.io/topology-mode") in ("Auto", "auto"):
        return PreferLocal(min_endpoints_threshold=3, force=ForceLocal(min_endpoints_in_zone_threshold=3))
    return None


def protocol_of(app_protocol: str | None, default: AppProtocol) -> AppProtocol:
    """A backend's own protocol refines HTTP only: everything else is what its route is."""
    if default != "HTTP":
        return default
    if app_protocol in _HTTP2:
        return "HTTP2"
    return "GRPC" if app_protocol == "grpc" else default


@query
def backend_upstream(db: Db, namespace: str, name: str, default: AppProtocol, sockets: bool = False) -> Upstream:
    """Envoy Gateway's Backend, spoken to as `default` unless it says otherwise. Routes may not use Unix sockets."""
    if not settings(db).backend:
        return _problem("Backend is disabled in Envoy Gateway configuration", "UnsupportedValue")
    row = db.get(BACKENDS, ObjectRef(ENVOY, "Backend", namespace, name))
    if row is None:
        invalid = db.get(INVALID, ObjectRef(ENVOY, "Backend", namespace, name))
        why = "not found" if invalid is None else f"is invalid: {invalid.message}"
        return _problem(f"Backend {namespace}/{name} {why}", "BackendNotFound" if invalid is None else "InvalidBackendRef")
    if (problem := backend_fault(db, ObjectRef(ENVOY, "Backend", namespace, name), row)) is not None:
        return Upstream(problem=problem)
    if not sockets and any(e.unix is not None for e in row.spec.endpoints):
        return _problem("unix domain sockets are not supported in backend references", "UnsupportedAddressType")
    protocol = default
    for each in row.spec.app_protocols:
        protocol = protocol_of(each, protocol)
    websocket = default in _HTTP and any(each in _WEBSOCKET for each in row.spec.app_protocols)
    if row.spec.type == "DynamicResolver":
        return Upstream(DestinationSetting(name="", is_dynamic_resolver=True, protocol=protocol, force_http1_upstream=websocket))
    key = key_of("Backend", namespace, name, 0)
    if address_type(db, key) == "Mixed":
        return _problem("mixed FQDN and IP or Unix address type for the same backendRef is not supported", "UnsupportedAddressType")
    setting = DestinationSetting(
        name="",
        protocol=protocol,
        force_http1_upstream=websocket,
        endpoints_ref=key,
        priority=1 if row.spec.fallback else None,
        metadata=resource_metadata("Backend", row.metadata),
    )
    return Upstream(setting)


def backend_fault(db: Db, ref: ObjectRef, row: Backend) -> Problem | None:
    """Why a Backend cannot be used by anybody; it is its own condition too."""
    spec, on_host = row.spec, settings(db).running_on_host
    if spec.type == "DynamicResolver" and spec.endpoints:
        return unresolved("DynamicResolver type cannot have endpoints specified", "InvalidBackendRef")
    own = spec.tls is None or spec.tls.insecure_skip_verify or spec.tls.ca_certificate_refs or spec.tls.well_known_ca_certificates
    ports = (e.fqdn.port if e.fqdn is not None else e.ip.port if e.ip is not None else 0 for e in spec.endpoints)
    if not own and not vouched_for(db, ref, tuple(sorted({port for port in ports if port}))):
        text = "must specify either CACertificateRefs or WellKnownCACertificates when InsecureSkipVerify is unset or false"
        return unresolved(text, "InvalidBackendRef")
    shown = spec.tls.client_certificate_ref if spec.tls is not None else None
    if shown is not None and shown.namespace not in (None, ref.namespace):
        text = f"clientCertificateRef Secret is not located in the same namespace as Backend: {shown.namespace} is not {ref.namespace}"
        return unresolved(text, "InvalidBackendRef")
    for n, each in enumerate(spec.endpoints):
        if sum(kind is not None for kind in (each.fqdn, each.ip, each.unix)) != 1:
            return unresolved(f"endpoint {n} must have exactly one of fqdn, ip or unix", "InvalidAddress")
        fault = _host_fault(each.hostname, "hostname", on_host) if each.hostname is not None else None
        if fault is None and each.fqdn is not None:
            fault = _host_fault(each.fqdn.hostname, "FQDN", on_host)
        if fault is None and each.ip is not None:
            fault = _ip_fault(each.ip.address, on_host)
        if fault is not None:
            return unresolved(fault, "InvalidAddress")
    return None


def _host_fault(host: str, what: str, on_host: bool) -> str | None:
    if not is_subdomain(host.removesuffix(".")):
        return f"hostname {host} is not a valid {what}"
    if not on_host and "." not in host:
        return f"hostname {host} should be a domain with at least two segments separated by dots"
    return f"hostname {host} is an IP address" if is_ip(host) else None


def _ip_fault(address: str, on_host: bool) -> str | None:
    if not is_ip(address):
        return f"IP address {address} is invalid"
    if not on_host and address.startswith(_LOOPBACK):
        return f"IP address {address} in the loopback range is only supported when using the Host infrastructure"
    return None


def named(setting: DestinationSetting, name: str, weight: int) -> DestinationSetting:
    return replace(setting, name=name, weight=weight)


def needs_endpoints(key: str) -> bool:
    """Whether a backend without endpoints is worth a condition: not so where the addresses are written in the object itself."""
    kind = key.split(".")[1]
    return kind != "Backend" and not kind.startswith(BY_ADDRESS)
