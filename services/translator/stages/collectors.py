"""Where telemetry goes: a destination of its own, with addresses in place, and the name by which it is asked for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from services.translator.stages.backends import backend_upstream, section_of, service_upstream
from services.translator.stages.endpoints import endpoints
from services.translator.stages.tables import BACKENDS
from services.translator.stages.upstream_tls import backend_tls
from shared.api.base import ObjectMeta
from shared.api.gateway import BackendObjectReference
from shared.api.telemetry import Collector, HostCollector, ProxyTelemetry
from shared.core.refs import ObjectRef
from shared.features.parts import backend_settings
from shared.features.parts.hostname import is_ip
from shared.features.parts.policy_lookup import Fault
from shared.incremental import Db
from shared.ir.destination import AppProtocol, Destination, DestinationSetting, Endpoint
from shared.ir.metadata import ResourceMetadata
from shared.ir.traffic import Traffic


class Unusable(Exception):
    """A telemetry backend that cannot be used; its text is for a condition."""


class Telemeter(msgspec.Struct, frozen=True):
    """On whose behalf telemetry is sent: a Gateway with its EnvoyProxy."""

    gateway: ObjectRef
    proxy: ObjectMeta
    by_address: bool


def collector_refs(spec: ProxyTelemetry) -> Iterator[BackendObjectReference]:
    """All backends that telemetry is sent to."""
    settings = spec.access_log.settings if spec.access_log is not None else ()
    sinks = [sink for setting in settings for sink in setting.sinks]
    found: list[Collector | None] = [each for sink in sinks for each in (sink.als, sink.open_telemetry)]
    found.append(spec.tracing.provider if spec.tracing is not None else None)
    found += [sink.open_telemetry for sink in (spec.metrics.sinks if spec.metrics is not None else ())]
    for each in found:
        yield from each.backend_refs if each is not None else ()


def destination(db: Db, who: Telemeter, name: str, spec: Collector, protocol: AppProtocol | None) -> tuple[Destination, str]:
    """A collector's destination and authority; `protocol` None leaves the backends'. Raises Unusable."""
    settings = tuple(_setting(db, who, f"{name}/backend/-1", ref) for ref in spec.backend_refs)
    if protocol is not None:
        settings = tuple(replace(s, protocol=protocol) for s in settings)
    authority = _authority(settings)
    if not settings and isinstance(spec, HostCollector):
        authority = spec.host or ""
        settings = (_by_host(f"{name}/backend/-1", authority, spec.port),)
    meta = ResourceMetadata(kind="EnvoyProxy", name=who.proxy.name, namespace=who.proxy.namespace)
    return Destination(name=name, settings=settings, metadata=meta), authority


def traffic(spec: Collector) -> Traffic | None:
    """How a collector is spoken to. Raises Unusable."""
    try:
        return backend_settings.translate(spec.backend_settings)
    except Fault as e:
        raise Unusable(str(e)) from e


def _by_host(name: str, host: str, port: int) -> DestinationSetting:
    kind = "IP" if is_ip(host) else "FQDN"
    where = (Endpoint(host=host, port=port),)
    return DestinationSetting(name=name, weight=1, protocol="GRPC", address_type="IP" if kind == "IP" else "FQDN", endpoints=where)


def _setting(db: Db, who: Telemeter, name: str, ref: BackendObjectReference) -> DestinationSetting:
    namespace = ref.namespace or who.proxy.namespace
    if ref.kind == "Service":
        if ref.port is None:
            raise Unusable(f"port of service {namespace}/{ref.name} must be specified")
        found = service_upstream(db, "Service", namespace, ref.name, ref.port, who.by_address, "TCP")
    elif ref.kind == "Backend":
        found = backend_upstream(db, namespace, ref.name, "TCP", True)
    else:
        raise Unusable(f"unsupported kind for backendRefs: {ref.kind}")
    if found.setting is None:
        raise Unusable(found.problem.message if found.problem is not None else "")
    if found.setting.is_dynamic_resolver:
        raise Unusable("dynamic resolver destinations are not supported")
    where = endpoints(db, found.setting.endpoints_ref)
    if not where.endpoints:
        raise Unusable(f"no ready endpoints for the related {ref.kind} {namespace}/{ref.name}")
    made = replace(found.setting, name=name, endpoints_ref="", address_type=where.address_type, endpoints=where.endpoints)
    return _with_tls(db, who, made, ObjectRef(ref.group, ref.kind, namespace, ref.name), ref.port)


def _with_tls(db: Db, who: Telemeter, made: DestinationSetting, at: ObjectRef, port: int | None) -> DestinationSetting:
    tls = backend_tls(db, at, section_of(db, at, port), who.gateway)
    if isinstance(tls, str):
        raise Unusable(tls)
    row = db.get(BACKENDS, at) if at.kind == "Backend" else None
    if tls is not None and tls.sni is None and row is not None and len(row.spec.endpoints) == 1 and row.spec.endpoints[0].fqdn is not None:
        tls = replace(tls, sni=row.spec.endpoints[0].fqdn.hostname)
    return replace(made, tls=tls)


def _authority(settings: tuple[DestinationSetting, ...]) -> str:
    """The first backend by name, never by address: its SNI, its host, or the object that it is."""
    if not settings:
        return ""
    first = settings[0]
    if first.tls is not None and first.tls.sni is not None:
        return first.tls.sni
    if not first.endpoints:
        return ""
    host = first.endpoints[0].host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    meta = first.metadata
    if meta is None or not meta.name:
        return ""
    return f"{meta.name}.{meta.namespace}.svc" if meta.kind == "Service" else f"{meta.name}.{meta.namespace}"
