"""Listeners as IR, without their routes."""

from __future__ import annotations

from typing import Any, Literal

from services.translator.stages.extension_policies import of_listener
from services.translator.stages.gateways import gateway_row
from services.translator.stages.judged import Judged, judged_listener
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.policies.precedence import at_listener
from services.translator.stages.proxies import effective
from services.translator.stages.routes import SPEAKS_GRPC
from services.translator.stages.tables import SECRETS, settings
from shared.api.envoy import EnvoyProxySpec
from shared.core.refs import GatewayRef
from shared.features.client.grpc.ir import GrpcSettings
from shared.features.client.path.ir import PathSettings
from shared.incremental import Db, Pending, query
from shared.ir.http import HttpListener
from shared.ir.shards import http_key, tcp_key, udp_key
from shared.ir.tcp import TcpListener
from shared.ir.tls import ListenerTls
from shared.ir.udp import UdpListener

AnyListener = HttpListener | TcpListener | UdpListener
_WELL_KNOWN, _SHIFT = 1024, 10000
IpFamily = Literal["IPv4", "IPv6", "DualStack"]
_FAMILIES: dict[str | None, IpFamily] = {"IPv4": "IPv4", "IPv6": "IPv6", "DualStack": "DualStack"}
KEYS = {"HTTP": http_key, "HTTPS": http_key, "TLS": tcp_key, "TCP": tcp_key, "UDP": udp_key}
"""A protocol's listeners, by the key of their shards."""


def address(spec: EnvoyProxySpec) -> str:
    return "::" if spec.ip_family in ("IPv6", "DualStack") else "0.0.0.0"


def container_port(db: Db, port: int, spec: EnvoyProxySpec) -> int:
    """Where Envoy binds. Privileged ports move, so that a container needs no capability; on a host they stay."""
    kubernetes = spec.provider.kubernetes if spec.provider is not None else None
    stays = settings(db).running_on_host or (kubernetes is not None and kubernetes.use_listener_port_as_container_port)
    return port if stays or port >= _WELL_KNOWN else port + _SHIFT


def shard_key(found: Judged) -> str:
    return KEYS[found.spec.protocol](found.key)


@query
def listener(db: Db, fleet: GatewayRef, key: str) -> AnyListener | None:
    """One listener as the Gateway has it, before a policy for its clients. Raises Pending while its certificates are not all known."""
    found = judged_listener(db, fleet, key)
    if found is None or not found.ready:
        return None
    waiting = found.certificates.pending or (found.frontend.pending if found.frontend is not None else None)
    if waiting is not None:
        raise Pending(SECRETS.name, waiting)
    spec = effective(db, found.gateway).spec
    common: dict[str, Any] = {
        "name": found.ir_name,
        "address": address(spec),
        "port": container_port(db, found.spec.port, spec),
        "external_port": found.spec.port,
        "ip_family": _FAMILIES.get(spec.ip_family),
        "metadata": resource_metadata("Gateway", gateway_row(db, found.gateway).metadata, found.spec.name),
        "policies": at_listener(db, found.owner, found.spec.name, found.gateway),
        "extension_refs": of_listener(db, found),
    }
    if found.spec.protocol in ("HTTP", "HTTPS"):
        return _http(db, found, spec, common)
    if found.spec.protocol == "UDP":
        return UdpListener(**common)
    return TcpListener(**common, tls=_tls(found, alpn_protocols=()))


def _http(db: Db, found: Judged, spec: EnvoyProxySpec, common: dict[str, Any]) -> HttpListener:
    return HttpListener(
        **common,
        hostnames=(found.spec.hostname if found.spec.hostname is not None else "*",),
        path=PathSettings(merge_slashes=True, escaped_slashes_action="UnescapeAndRedirect"),
        tls=_tls(found),
        grpc=_grpc(spec, db.fold(SPEAKS_GRPC, (found.gateway, found.key))),
        request_id=spec.telemetry.request_id.tracing if spec.telemetry.request_id is not None else None,
        tls_overlaps=found.overlaps,
        preserve_route_order=spec.preserve_route_order,
    )


def _grpc(spec: EnvoyProxySpec, spoken: bool) -> GrpcSettings | None:
    """gRPC-Web and statistics are on where a GRPCRoute is; the EnvoyProxy's word on statistics goes before that."""
    asked = spec.telemetry.metrics.enable_grpc_stats if spec.telemetry.metrics is not None else None
    if spoken:
        return GrpcSettings(enable_grpc_web=True, enable_grpc_stats=True if asked is None else asked)
    return GrpcSettings(enable_grpc_stats=asked) if asked is not None else None


def _tls(found: Judged, alpn_protocols: tuple[str, ...] | None = None) -> ListenerTls | None:
    """None where nothing is terminated. Listeners that are not HTTPS agree on no protocol: `alpn_protocols` is empty."""
    if not found.certificates.certificates and found.frontend is None:
        return None
    if found.frontend is None:
        return ListenerTls(certificates=found.certificates.certificates, alpn_protocols=alpn_protocols)
    fallback = found.frontend.mode == "AllowInsecureFallback"
    return ListenerTls(
        certificates=found.certificates.certificates,
        ca_certificate=found.frontend.ca,
        client_validation_enabled=True,
        require_client_certificate=not fallback,
        accept_untrusted=fallback,
    )
