"""A fleet as a whole: its listeners in order, telemetry, its own endpoints, and the infrastructure that it needs."""

from __future__ import annotations

from typing import Literal

from services.translator.stages.endpoints import endpoints, key_of
from services.translator.stages.gateways import gateway_row, members, served
from services.translator.stages.judged import Judged, judged, judged_listener
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.proxies import class_proxy, effective
from services.translator.stages.routes import SPEAKS_GRPC
from services.translator.stages.tables import (
    OWNER_CLASS,
    OWNER_NAME,
    OWNER_NAMESPACE,
    PROXIES,
    SECRETS,
    SERVICES,
    SERVICES_BY_OWNER,
    settings,
)
from services.translator.stages.telemetry import access_log, metrics
from shared.api.envoy import EnvoyProxySpec
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, Pending, query
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.gateway import GatewayShard, GlobalResources, ReadyListener
from shared.ir.http import GrpcSettings, HttpListener, PathSettings
from shared.ir.infra import Infra, InfraMetadata, ListenerPort, OwnerReference, ProxyInfra, ProxyListener
from shared.ir.shards import http_key
from shared.ir.tls import ListenerTls

_READY_PORT = 19003
_WELL_KNOWN, _SHIFT = 1024, 10000


IpFamily = Literal["IPv4", "IPv6", "DualStack"]
_FAMILIES: dict[str | None, IpFamily] = {"IPv4": "IPv4", "IPv6": "IPv6", "DualStack": "DualStack"}


def _family(spec: EnvoyProxySpec) -> IpFamily | None:
    return _FAMILIES.get(spec.ip_family)


def _address(spec: EnvoyProxySpec) -> str:
    return "::" if spec.ip_family in ("IPv6", "DualStack") else "0.0.0.0"


@query
def lead(db: Db, fleet: GatewayRef) -> ObjectRef | None:
    """The served Gateway that speaks for its fleet: the youngest, as later ones overwrite earlier ones' settings."""
    return next((g for g in reversed(members(db, fleet)) if served(db, g)), None)


def gateway_shard(db: Db, fleet: GatewayRef) -> GatewayShard:
    """What belongs to the fleet as a whole; empty where none of its Gateways can be served."""
    gateway = lead(db, fleet)
    if gateway is None:
        return GatewayShard()
    spec = effective(db, gateway).spec
    cluster = proxy_service_cluster(db, fleet)
    return GatewayShard(
        access_log=access_log(spec),
        metrics=metrics(spec),
        global_resources=GlobalResources(proxy_service_cluster=cluster) if cluster is not None else None,
        ready_listener=ReadyListener(address=_address(spec), port=_READY_PORT, path="/ready", ip_family=spec.ip_family or "IPv4"),
        http_listeners=tuple(http_key(each.key) for each in judged(db, fleet) if each.ready),
    )


@query
def proxy_service_cluster(db: Db, fleet: GatewayRef) -> Destination | None:
    """The fleet's own Service: Envoy finds its own zone among its endpoints."""
    env = settings(db)
    namespace = fleet.namespace if env.gateway_namespace_mode and fleet.namespace else env.controller_namespace
    owner = (namespace, fleet.namespace, fleet.name) if fleet.namespace else (namespace, fleet.name)
    ref = next(iter(db.keys(SERVICES_BY_OWNER, owner)), None)
    row = db.get(SERVICES, ref) if ref is not None else None
    if ref is None or row is None or not row.spec.ports:
        return None
    port = row.spec.ports[0]
    by_address = _class_spec(db, fleet).routing_type == "Service" and row.spec.cluster_ip not in ("", "None")
    found = endpoints(db, key_of("Service", ref.namespace, ref.name, port.port, by_address))
    if not found.endpoints:
        return None
    meta = resource_metadata("Service", row.metadata, str(port.port))
    setting = DestinationSetting(
        name=str(fleet),
        protocol="UDP" if port.protocol == "UDP" else "TCP",
        address_type=found.address_type,
        endpoints=found.endpoints,
        metadata=meta,
    )
    return Destination(name=str(fleet), settings=(setting,), metadata=meta)


def _class_spec(db: Db, fleet: GatewayRef) -> EnvoyProxySpec:
    gateway = next(iter(members(db, fleet)), None)
    at = class_proxy(db, gateway_row(db, gateway).spec.gateway_class_name).ref if gateway is not None else None
    row = db.get(PROXIES, at) if at is not None else None
    return row.spec if row is not None else EnvoyProxySpec()


def container_port(db: Db, port: int, spec: EnvoyProxySpec) -> int:
    """Where Envoy binds. Privileged ports move, so that a container needs no capability; on a host they stay."""
    kubernetes = spec.provider.kubernetes if spec.provider is not None else None
    stays = settings(db).running_on_host or (kubernetes is not None and kubernetes.use_listener_port_as_container_port)
    return port if stays or port >= _WELL_KNOWN else port + _SHIFT


def http_listener(db: Db, fleet: GatewayRef, key: str) -> HttpListener | None:
    """One HTTP listener without its routes. Raises Pending while its certificates are not all known."""
    found = judged_listener(db, fleet, key)
    if found is None or not found.ready:
        return None
    waiting = found.certificates.pending or (found.frontend.pending if found.frontend is not None else None)
    if waiting is not None:
        raise Pending(SECRETS.name, waiting)
    spec = effective(db, found.gateway).spec
    row = gateway_row(db, found.gateway)
    return HttpListener(
        name=found.ir_name,
        address=_address(spec),
        port=container_port(db, found.spec.port, spec),
        external_port=found.spec.port,
        ip_family=_family(spec),
        hostnames=(found.spec.hostname if found.spec.hostname is not None else "*",),
        metadata=resource_metadata("Gateway", row.metadata, found.spec.name),
        path=PathSettings(merge_slashes=True, escaped_slashes_action="UnescapeAndRedirect"),
        tls=_tls(found),
        grpc=_grpc(spec, db.fold(SPEAKS_GRPC, (found.gateway, found.spec.name))),
        tls_overlaps=found.overlaps,
        preserve_route_order=spec.preserve_route_order,
    )


def _grpc(spec: EnvoyProxySpec, spoken: bool) -> GrpcSettings | None:
    """gRPC-Web and statistics are on where a GRPCRoute is; the EnvoyProxy's word on statistics goes before that."""
    asked = spec.telemetry.metrics.enable_grpc_stats if spec.telemetry.metrics is not None else None
    if spoken:
        return GrpcSettings(enable_grpc_web=True, enable_grpc_stats=True if asked is None else asked)
    return GrpcSettings(enable_grpc_stats=asked) if asked is not None else None


def _tls(found: Judged) -> ListenerTls | None:
    if not found.certificates.certificates and found.frontend is None:
        return None
    if found.frontend is None:
        return ListenerTls(certificates=found.certificates.certificates)
    fallback = found.frontend.mode == "AllowInsecureFallback"
    return ListenerTls(
        certificates=found.certificates.certificates,
        ca_certificate=found.frontend.ca,
        client_validation_enabled=True,
        require_client_certificate=not fallback,
        accept_untrusted=fallback,
    )


def infra(db: Db, fleet: GatewayRef) -> Infra:
    """The fleet to run. A fleet whose Gateways cannot be served is kept, so that a mistake takes no proxy down."""
    own = members(db, fleet)
    first = gateway_row(db, own[-1])
    env = settings(db)
    asked = first.spec.infrastructure
    by_namespace = env.gateway_namespace_mode and bool(fleet.namespace)
    owner = {OWNER_NAMESPACE: fleet.namespace, OWNER_NAME: fleet.name} if fleet.namespace else {OWNER_CLASS: fleet.name}
    metadata = InfraMetadata(
        labels={**(asked.labels if asked is not None else {}), **owner},
        annotations=asked.annotations if asked is not None else {},
        owner_reference=OwnerReference(kind="Gateway", name=fleet.name)
        if by_namespace
        else OwnerReference(kind="GatewayClass", name=first.spec.gateway_class_name),
    )
    gateway = lead(db, fleet)
    lead_row = gateway_row(db, gateway) if gateway is not None else None
    proxy = ProxyInfra(
        name=fleet.name if by_namespace else str(fleet),
        namespace=fleet.namespace if by_namespace else env.controller_namespace,
        metadata=metadata,
        listeners=tuple(_ports(db, fleet)),
        addresses=tuple(a.value for a in lead_row.spec.addresses if a.type == "IPAddress") if lead_row is not None else (),
        config=effective(db, gateway).raw if gateway is not None else None,
    )
    return Infra(proxy=proxy)


def _ports(db: Db, fleet: GatewayRef) -> list[ProxyListener]:
    found: dict[int, ProxyListener] = {}
    for each in judged(db, fleet):
        if each.ready and each.spec.port not in found:
            protocol, port = each.spec.protocol, each.spec.port
            target = container_port(db, port, effective(db, each.gateway).spec)
            ports = (ListenerPort(name=f"{protocol.lower()}-{port}", protocol=protocol, service_port=port, container_port=target),)
            found[port] = ProxyListener(name=each.ir_name, ports=ports)
    return list(found.values())
