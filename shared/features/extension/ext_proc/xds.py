"""External processing in Envoy: a filter for each service on the listener, off until a route asks for it."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from shared.features.extension.ext_proc.ir import ExtProc
from shared.features.parts.external import TIMEOUT, Service, grpc_service
from shared.features.parts.per_route import ON, off
from shared.features.parts.xds_values import duration, given
from shared.ir.extension import ExtensionFeatures
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

NAME = "envoy.filters.http.ext_proc"
_MESSAGE = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
_MODES = {
    "Buffered": "BUFFERED",
    "BufferedPartial": "BUFFERED_PARTIAL",
    "Streamed": "STREAMED",
    "FullDuplexStreamed": "FULL_DUPLEX_STREAMED",
}


def _name(of: ExtProc) -> str:
    return f"{NAME}/{of.name}"


def _mode(of: ExtProc) -> Fields:
    fields: Fields = {}
    for side, headers, body in (
        ("request", of.request_header_processing, of.request_body_processing_mode),
        ("response", of.response_header_processing, of.response_body_processing_mode),
    ):
        mode = _MODES.get(body or "", "NONE")
        fields |= {
            f"{side}_header_mode": "SEND" if headers else "SKIP",
            f"{side}_body_mode": mode,
            # a stream in both directions ends with its trailers
            f"{side}_trailer_mode": "SEND" if mode == "FULL_DUPLEX_STREAMED" else "SKIP",
        }
    return fields


@functools.lru_cache(maxsize=1024)
def _filter(of: ExtProc) -> Fields:
    namespaces = given(
        {
            "forwarding_namespaces": {"untyped": list(of.forwarding_metadata_namespaces)} if of.forwarding_metadata_namespaces else None,
            "receiving_namespaces": {"untyped": list(of.receiving_metadata_namespaces)} if of.receiving_metadata_namespaces else None,
        }
    )
    fields: Fields = {
        "grpc_service": grpc_service(of.destination.name, of.authority, TIMEOUT, of.traffic),
        "processing_mode": _mode(of),
        "observability_mode": of.shadow_mode,
        "failure_mode_allow": of.fail_open,
        "message_timeout": duration(of.message_timeout) if of.message_timeout is not None else None,
        "request_attributes": list(of.request_attributes),
        "response_attributes": list(of.response_attributes),
        "metadata_options": namespaces or None,
        "allow_mode_override": of.allow_mode_override,
        "status_on_error": {"code": of.status_on_error} if of.status_on_error is not None else None,
    }
    return off(_name(of), _MESSAGE, given(fields))


def _of(route: HttpRoute) -> tuple[ExtProc, ...]:
    return route.envoy_extensions.ext_procs if route.envoy_extensions is not None else ()


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return {_name(of): _filter(of) for of in _of(route)}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: switches them on."""
    return {_name(of): ON for of in _of(route)}


def services(of: ExtensionFeatures) -> Iterator[Service]:
    """Who processes."""
    return (Service(each.destination, traffic=each.traffic) for each in of.ext_procs)
