"""ClientTrafficPolicies: what one makes of a listener.

A part that cannot be translated refuses the listener's routes; the rest of what is said of HTTP and of TLS holds nevertheless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from services.translator.stages.policies.built import Built, Effective, Routed
from services.translator.stages.policies.references import lookup
from shared.api.client_policy import ClientTrafficPolicySpec
from shared.features.client.connection import translate as connection
from shared.features.client.grpc import translate as grpc
from shared.features.client.headers import translate as headers
from shared.features.client.health_check import translate as health_check
from shared.features.client.http1 import translate as http1
from shared.features.client.http3 import translate as http3
from shared.features.client.ip_detection import translate as ip_detection
from shared.features.client.path import translate as path
from shared.features.client.path.ir import PathSettings
from shared.features.client.proxy_protocol import translate as proxy_protocol
from shared.features.client.scheme import translate as scheme
from shared.features.client.timeout import translate as timeout
from shared.features.client.tls import translate as tls
from shared.features.parts.faults import Faults
from shared.features.traffic.http2 import translate as http2
from shared.features.traffic.tcp_keepalive import translate as tcp_keepalive
from shared.incremental import Db
from shared.ir.http import HttpListener
from shared.ir.tcp import TcpListener
from shared.ir.udp import UdpListener

L = TypeVar("L", bound=HttpListener | TcpListener | UdpListener)
Spec = ClientTrafficPolicySpec


def build(db: Db, effective: Effective[Spec], listener: L, routed: Routed) -> Built[L]:
    """The listener as the policy wants it. Raises Pending while something that the policy names is unknown."""
    if isinstance(listener, UdpListener):
        return Built(listener)
    spec, faults = effective.spec, Faults()
    shared = {
        "tcp_keepalive": tcp_keepalive.translate(spec.tcp_keepalive, faults),
        "connection": connection.translate(spec.connection, faults),
        "proxy_protocol": proxy_protocol.translate(spec.proxy_protocol, bool(spec.enable_proxy_protocol)),
        "timeout": timeout.translate(spec.timeout, faults),
    }
    changes: dict[str, Any] = _of_http(spec, listener, routed, faults) if isinstance(listener, HttpListener) else {}
    name = f"{effective.policy.namespace}/{effective.policy.name}"
    changes["tls"] = tls.translate(spec.tls, listener.tls, name, lookup(db, effective.policy), faults)
    changes |= {"refused": True} if faults.texts else shared
    return Built(replace(listener, **changes), tuple(faults.texts), warnings=_warnings(spec, listener))


def _of_http(spec: Spec, listener: HttpListener, routed: Routed, faults: Faults) -> dict[str, Any]:
    limit = spec.connection.connection_limit if spec.connection is not None else None
    ages = limit is not None and limit.max_connection_duration is not None
    return {
        "client_ip_detection": ip_detection.translate(spec.client_ip_detection, faults),
        "headers": headers.translate(spec.headers, faults),
        "host": headers.host(spec.headers),
        "path": path.translate(spec.path, listener.path or PathSettings()),
        "http1": http1.translate(spec.http1, listener.hostnames, routed, ages, faults),
        "http2": http2.translate(spec.http2, faults),
        "http3": http3.translate(spec.http3, listener.tls is not None, _checks_clients(spec)),
        "grpc": grpc.translate(spec.grpc, listener.grpc),
        "health_check": health_check.translate(spec.health_check),
        "match_backend_scheme": scheme.translate(spec.scheme),
    }


def _checks_clients(spec: Spec) -> bool:
    return spec.tls is not None and spec.tls.client_validation is not None


def _warnings(spec: Spec, listener: HttpListener | TcpListener) -> tuple[tuple[str, str], ...]:
    found = []
    if isinstance(listener, HttpListener) and http3.withheld(spec.http3, listener.tls is not None, _checks_clients(spec)):
        text = f"HTTP/3 is disabled for listener {listener.name}: Envoy cannot check client certificates over QUIC"
        found.append(("UnsupportedHTTP3ClientValidation", text))
    if fields := connection.unsupported(spec.connection):
        found.append(("UnsupportedField", f"not supported, without effect: {', '.join(f'spec.{f}' for f in fields)}"))
    return tuple(found)


def speaks_http3(spec: Spec) -> bool:
    """Whether HTTPS listeners of the policy are reached over UDP, too."""
    return http3.translate(spec.http3, True, _checks_clients(spec)) is not None


def deprecated(spec: Spec) -> Mapping[str, str]:
    """Fields that the spec uses and others replace."""
    validation = spec.tls.client_validation if spec.tls is not None else None
    uses = {
        ("spec.enableProxyProtocol", "spec.proxyProtocol"): spec.enable_proxy_protocol is not None,
        ("spec.headers.preserveXRequestID", "spec.headers.requestID"): (
            spec.headers is not None and spec.headers.preserve_x_request_id is not None
        ),
        ("spec.targetRef", "spec.targetRefs"): spec.target_ref is not None,
        ("spec.tls.clientValidation.optional", "spec.tls.clientValidation.mode"): validation is not None and validation.optional,
    }
    return dict(fields for fields, used in uses.items() if used)
