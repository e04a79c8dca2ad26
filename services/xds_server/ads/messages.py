"""Discovery requests and responses as plain values, and their bytes. Delta and state-of-the-world share one shape here."""

from __future__ import annotations

from typing import Any, NamedTuple

from services.xds_server.render.types import frame, framed
from services.xds_server.resources import Resource
from shared.xds.message import decode

_PACKAGE = "envoy.service.discovery.v3"


class Node(NamedTuple):
    """Who asks: `cluster` and `metadata` tell its Gateway."""

    id: str
    cluster: str
    metadata: dict[str, Any]


class Request(NamedTuple):
    """A client's message. Delta fills subscribe/unsubscribe/initial, state-of-the-world names/version; error is a NACK's text."""

    type_url: str
    nonce: str = ""
    error: str | None = None
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    version: str = ""


class Response(NamedTuple):
    """What to send: resources to set, names to remove (delta), `version` of the whole."""

    type_url: str
    nonce: str
    version: str
    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


def _node(message: Any) -> Node | None:
    if not message.HasField("node"):
        return None
    node = message.node
    metadata = {k: v.string_value for k, v in node.metadata.fields.items() if v.HasField("string_value")}
    return Node(node.id, node.cluster, metadata)


def _error(message: Any) -> str | None:
    return (message.error_detail.message or "rejected without a reason") if message.HasField("error_detail") else None


def delta_request(data: bytes) -> tuple[Request, Node | None]:
    """A DeltaDiscoveryRequest."""
    m = decode(f"{_PACKAGE}.DeltaDiscoveryRequest", data)
    request = Request(
        type_url=m.type_url,
        nonce=m.response_nonce,
        error=_error(m),
        subscribe=tuple(m.resource_names_subscribe),
        unsubscribe=tuple(m.resource_names_unsubscribe),
        initial=tuple(sorted(m.initial_resource_versions.items())),
    )
    return request, _node(m)


def sotw_request(data: bytes) -> tuple[Request, Node | None]:
    """A DiscoveryRequest."""
    m = decode(f"{_PACKAGE}.DiscoveryRequest", data)
    request = Request(type_url=m.type_url, nonce=m.response_nonce, error=_error(m), names=tuple(m.resource_names), version=m.version_info)
    return request, _node(m)


def _text(field: int, value: str) -> bytes:
    return framed(field, value.encode()) if value else b""


def delta_response(response: Response) -> bytes:
    """DeltaDiscoveryResponse; resources are already serialised, so this only puts bytes side by side, copying them once."""
    parts = [_text(1, response.version)]
    for r in response.resources:
        head = b"".join((_text(3, r.name), _text(1, r.version), frame(2, len(r.any_bytes))))
        parts += (frame(2, len(head) + len(r.any_bytes)), head, r.any_bytes)
    parts.append(_text(4, response.type_url))
    parts.append(_text(5, response.nonce))
    parts += [framed(6, name.encode()) for name in response.removed]
    return b"".join(parts)


def sotw_response(response: Response) -> bytes:
    """DiscoveryResponse."""
    parts = [_text(1, response.version)]
    for r in response.resources:
        parts += (frame(2, len(r.any_bytes)), r.any_bytes)
    parts.append(_text(4, response.type_url))
    parts.append(_text(5, response.nonce))
    return b"".join(parts)
