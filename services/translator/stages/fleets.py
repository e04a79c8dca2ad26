"""A fleet as a whole: its listeners in order, telemetry, its own endpoints, and the infrastructure that it needs."""

from __future__ import annotations

from services.translator.stages.control_plane import client_certificate, module_service
from services.translator.stages.endpoints import endpoints, key_of
from services.translator.stages.extension_policies import of_fleet
from services.translator.stages.extension_servers import extension_servers
from services.translator.stages.gateways import gateway_row, members, served
from services.translator.stages.judged import judged
from services.translator.stages.listener_ir import KEYS, address, container_port
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.places import geo_ip_provider
from services.translator.stages.policies.listeners import speaks_http3
from services.translator.stages.proxies import class_proxy, effective
from services.translator.stages.tables import (
    OWNER_CLASS,
    OWNER_NAME,
    OWNER_NAMESPACE,
    PROXIES,
    SERVICES,
    SERVICES_BY_OWNER,
    settings,
)
from services.translator.stages.telemetry import filter_order, observability
from shared.api.envoy import EnvoyProxySpec
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Db, query
from shared.ir.destination import Destination, DestinationSetting
from shared.ir.gateway import GatewayShard, GlobalResources, ReadyListener
from shared.ir.infra import Infra, InfraMetadata, ListenerPort, OwnerReference, ProxyInfra, ProxyListener

_READY_PORT = 19003


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
    seen = observability(db, gateway)
    resources = GlobalResources(
        proxy_service_cluster=proxy_service_cluster(db, fleet), envoy_client_certificate=client_certificate(db, fleet)
    )
    return GatewayShard(
        access_log=seen.access_log,
        tracing=seen.tracing,
        health_check_log=seen.health_check_log,
        filter_order=filter_order(spec),
        metrics=seen.metrics,
        global_resources=resources if resources != GlobalResources() else None,
        # on a host the proxy's admin interface tells readiness; a fixed port would be one too few for several fleets
        ready_listener=None
        if settings(db).running_on_host
        else ReadyListener(address=address(spec), port=_READY_PORT, path="/ready", ip_family=spec.ip_family or "IPv4"),
        geo_ip_provider=geo_ip_provider(spec),
        rate_limit_service=settings(db).rate_limit,
        module_service=module_service(db, fleet),
        http_listeners=_keys(db, fleet, "HTTP", "HTTPS"),
        tcp_listeners=_keys(db, fleet, "TLS", "TCP"),
        udp_listeners=_keys(db, fleet, "UDP"),
        extension_server_policies=of_fleet(db, fleet),
        extension_servers=extension_servers(db),
    )


def _keys(db: Db, fleet: GatewayRef, *protocols: str) -> tuple[str, ...]:
    """The shards of the fleet's listeners of these protocols, in their order."""
    return tuple(KEYS[each.spec.protocol](each.key) for each in judged(db, fleet) if each.ready and each.spec.protocol in protocols)


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
    found = endpoints(db, key_of("Service", ref.namespace, ref.name, port.port, "UDP" if port.protocol == "UDP" else "TCP", by_address))
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
        resolved_metric_sinks=observability(db, gateway).metric_sinks if gateway is not None else (),
    )
    return Infra(proxy=proxy)


def _ports(db: Db, fleet: GatewayRef) -> list[ProxyListener]:
    found: dict[tuple[int, str], ProxyListener] = {}
    for each in judged(db, fleet):
        protocol, port = each.spec.protocol, each.spec.port
        transport = "UDP" if protocol == "UDP" else "TCP"
        if each.ready and (port, transport) not in found:
            target = container_port(db, port, effective(db, each.gateway).spec)
            ports = (ListenerPort(name=f"{protocol.lower()}-{port}", protocol=protocol, service_port=port, container_port=target),)
            found[port, transport] = ProxyListener(name=each.ir_name, ports=ports, http3=speaks_http3(db, fleet, each.key))
    return list(found.values())
