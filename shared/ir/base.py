"""The one base of every IR struct: frozen, camelCase JSON, defaults left out, so that equal meanings are equal bytes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

# Names that plain camelCase would get wrong; they are Envoy Gateway's own spelling.
_SPELLING = {
    "is_http2": "isHTTP2",
    "force_http1_upstream": "forceHTTP1Upstream",
    "ca_certificate": "caCertificate",
    "auto_sni_from_endpoint_hostname": "autoSNIFromEndpointHostname",
    "enable_grpc_web": "enableGRPCWeb",
    "enable_grpc_stats": "enableGRPCStats",
    "request_id": "requestID",
    "source_ip": "sourceIP",
    "direct_source_ip": "directSourceIP",
    "trusted_cidrs": "trustedCIDRs",
    "max_request_headers_kb": "maxRequestHeadersKB",
    # Envoy Gateway's IR really has these two exchanged
    "initial_stream_window_size": "initialConnectionWindowSize",
    "initial_connection_window_size": "initialStreamWindowSize",
    "consecutive_5xx_errors": "consecutive5XxErrors",
    "client_ip_detection": "clientIPDetection",
}


def spelling(field: str) -> str:
    """The JSON name of a struct's field."""
    if field in _SPELLING:
        return _SPELLING[field]
    head, *tail = field.split("_")
    return head + "".join(t[:1].upper() + t[1:] for t in tail)


class IR(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=spelling):
    """Base of all IR structs. Containers in fields are tuples: frozen is shallow."""


_encoder = msgspec.json.Encoder(order="deterministic")


def encode(value: Any) -> bytes:
    """Canonical JSON: fields in the struct's order, dict keys sorted."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """The struct that `encode` wrote; msgspec.ValidationError (with the path) for anything else."""
    return msgspec.json.decode(data, type=kind)
