"""Addresses of backends: EndpointSlices, cluster addresses, or what a Backend lists; each backend once, whatever routes use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from services.translator.stages.tables import (
    BACKENDS,
    ENDPOINT_SLICES,
    SERVICE_IMPORTS,
    SERVICES,
    SLICES_BY_SERVICE,
    core_ref,
    service_import_ref,
)
from shared.api.core import EndpointConditions, EndpointSlice, ServicePort
from shared.api.envoy import GROUP as ENVOY
from shared.api.envoy import BackendEndpoint
from shared.core import names
from shared.core.refs import ObjectRef
from shared.incremental import Collection, Db, query
from shared.ir.destination import AddressType, Endpoint, EndpointsShard
from shared.ir.shards import endpoints_key

BY_ADDRESS = "ClusterIP"
"""The first part of an endpoints key where a Service's own address stands instead of its endpoints."""


Transport = Literal["TCP", "UDP"]
_UDP = "-udp"
"""Ends the port of an endpoints key: one number may be a TCP and a UDP port."""


def service_port(db: Db, kind: str, namespace: str, name: str, port: int, transport: Transport | None) -> ServicePort | None:
    """The port of a Service or ServiceImport by its number and transport (None: any)."""
    if kind == "ServiceImport":
        imported = db.get(SERVICE_IMPORTS, service_import_ref(namespace, name))
        ports = imported.spec.ports if imported is not None else ()
    else:
        service = db.get(SERVICES, core_ref("Service", namespace, name))
        ports = service.spec.ports if service is not None else ()
    return next((p for p in ports if p.port == port and transport in (None, p.protocol)), None)


def key_of(kind: str, namespace: str, name: str, port: int, transport: Transport = "TCP", by_address: bool = False) -> str:
    shown = f"{port}{_UDP}" if transport == "UDP" else port
    return endpoints_key(f"{BY_ADDRESS}{kind}" if by_address else kind, namespace, name, shown)


@query
def endpoints(db: Db, key: str) -> EndpointsShard:
    """What stands under an endpoints key."""
    kind, namespace, name, port = (names.unescape(t) for t in key.split(".")[1:])
    if kind == "Backend":
        return _backend(db, namespace, name)
    number = int(port.removesuffix(_UDP))
    if kind.startswith(BY_ADDRESS):
        return _addresses(db, kind.removeprefix(BY_ADDRESS), namespace, name, number)
    return _slices(db, kind, namespace, name, number, "UDP" if port.endswith(_UDP) else "TCP")


def _kinds(db: Db, keys: Iterable[str]) -> Mapping[str, AddressType]:
    found = ((key, endpoints(db, key)) for key in keys)
    return {key: shard.address_type for key, shard in found if shard.endpoints and shard.address_type is not None}


def _port_keys(kind: str, ref: ObjectRef, ports: tuple[ServicePort, ...]) -> Iterator[str]:
    return (key_of(kind, ref.namespace, ref.name, p.port, "UDP" if p.protocol == "UDP" else "TCP") for p in ports)


def _of_service(db: Db, ref: ObjectRef) -> Mapping[str, AddressType]:
    row = db.get(SERVICES, ref)
    return _kinds(db, _port_keys("Service", ref, row.spec.ports)) if row is not None else {}


def _of_import(db: Db, ref: ObjectRef) -> Mapping[str, AddressType]:
    row = db.get(SERVICE_IMPORTS, ref)
    return _kinds(db, _port_keys("ServiceImport", ref, row.spec.ports)) if row is not None else {}


def _of_backend(db: Db, ref: ObjectRef) -> Mapping[str, AddressType]:
    return _kinds(db, (key_of("Backend", ref.namespace, ref.name, 0),))


REACHABLE: dict[str, Collection[str, AddressType]] = {
    "Service": Collection("reachable_services", source=SERVICES, fn=_of_service),
    "ServiceImport": Collection("reachable_imports", source=SERVICE_IMPORTS, fn=_of_import),
    "Backend": Collection("reachable_backends", source=BACKENDS, fn=_of_backend),
}
"""Endpoints keys with any endpoint, and of which kind: collections, so that moving endpoints disturb no reader while that stays."""


def address_type(db: Db, key: str) -> AddressType | None:
    """The kind of a backend's addresses; None where there is no endpoint, or a Service's own address stands for them."""
    collection = REACHABLE.get(key.split(".")[1])
    return None if collection is None else next(iter(db.group(collection, key).values()), None)


def reachable(db: Db, key: str) -> bool:
    """Whether there is any endpoint: all that a status has to know."""
    return key.split(".")[1].startswith(BY_ADDRESS) or address_type(db, key) is not None


def _slices(db: Db, kind: str, namespace: str, name: str, port: int, transport: Transport) -> EndpointsShard:
    at = service_port(db, kind, namespace, name, port, transport)
    keys = db.keys(SLICES_BY_SERVICE, (kind, namespace, name))
    rows = [row for k in keys if (row := db.get(ENDPOINT_SLICES, k)) is not None]
    rows.sort(key=lambda row: (row.metadata.creation_timestamp, row.metadata.name))
    if at is None or not rows:
        return EndpointsShard()
    found = tuple(e for row in rows for e in _slice(row, at))
    types = {"FQDN" if row.address_type == "FQDN" else "IP" for row in rows}
    mixed: AddressType = "Mixed" if len(types) > 1 else "FQDN" if types == {"FQDN"} else "IP"
    return EndpointsShard(address_type=mixed, endpoints=found)


def _slice(row: EndpointSlice, at: ServicePort) -> list[Endpoint]:
    ports = [p.port for p in row.ports if p.name == at.name and p.protocol == at.protocol and p.port is not None]
    return [
        Endpoint(host=address, port=port, zone=each.zone, draining=_draining(each.conditions))
        for each in row.endpoints
        for port in ports
        for address in each.addresses
    ]


def _draining(conditions: EndpointConditions) -> bool:
    """Unknown serving or terminating falls back to ready; unknown ready counts as ready."""
    if conditions.serving is not None and conditions.terminating is not None:
        return conditions.terminating or not conditions.serving
    return conditions.ready is False


def _addresses(db: Db, kind: str, namespace: str, name: str, port: int) -> EndpointsShard:
    if kind == "ServiceImport":
        imported = db.get(SERVICE_IMPORTS, service_import_ref(namespace, name))
        hosts = imported.spec.ips if imported is not None else ()
    else:
        service = db.get(SERVICES, core_ref("Service", namespace, name))
        hosts = (service.spec.cluster_ip,) if service is not None else ()
    return EndpointsShard(address_type=None, endpoints=tuple(Endpoint(host=h, port=port) for h in hosts))


def _backend(db: Db, namespace: str, name: str) -> EndpointsShard:
    row = db.get(BACKENDS, ObjectRef(ENVOY, "Backend", namespace, name))
    if row is None:
        return EndpointsShard()
    types = [_type(e) for e in row.spec.endpoints]
    kinds = set(types)
    kind: AddressType | None = None
    if len(kinds) == 1:
        kind = types[0]
    elif kinds:
        kind = "Mixed" if "FQDN" in kinds else "STATIC"
    return EndpointsShard(address_type=kind, endpoints=tuple(_endpoint(e) for e in row.spec.endpoints))


def _type(spec: BackendEndpoint) -> AddressType:
    return "FQDN" if spec.fqdn is not None else "UDS" if spec.unix is not None else "IP"


def _endpoint(spec: BackendEndpoint) -> Endpoint:
    if spec.unix is not None:
        return Endpoint(port=0, path=spec.unix.path, hostname=spec.hostname, zone=spec.zone)
    host, port = ("", 0)
    if spec.fqdn is not None:
        host, port = spec.fqdn.hostname, spec.fqdn.port
    elif spec.ip is not None:
        host, port = spec.ip.address, spec.ip.port
    return Endpoint(host=host, port=port, hostname=spec.hostname, zone=spec.zone)
