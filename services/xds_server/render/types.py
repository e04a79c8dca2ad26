"""Resource types of xDS and the value that every renderer ends in: one serialised resource."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from shared.xds.message import TYPE_PREFIX, Fields, encode

LISTENER_MESSAGE = "envoy.config.listener.v3.Listener"
ROUTE_MESSAGE = "envoy.config.route.v3.RouteConfiguration"
CLUSTER_MESSAGE = "envoy.config.cluster.v3.Cluster"
ENDPOINT_MESSAGE = "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET_MESSAGE = "envoy.extensions.transport_sockets.tls.v3.Secret"

LISTENER = TYPE_PREFIX + LISTENER_MESSAGE
ROUTE = TYPE_PREFIX + ROUTE_MESSAGE
CLUSTER = TYPE_PREFIX + CLUSTER_MESSAGE
ENDPOINT = TYPE_PREFIX + ENDPOINT_MESSAGE
SECRET = TYPE_PREFIX + SECRET_MESSAGE

MESSAGES = {LISTENER: LISTENER_MESSAGE, ROUTE: ROUTE_MESSAGE, CLUSTER: CLUSTER_MESSAGE, ENDPOINT: ENDPOINT_MESSAGE, SECRET: SECRET_MESSAGE}

Need = tuple[str, str]
"""Type URL and name of a resource that another one makes Envoy ask for."""


class Rendered(NamedTuple):
    """A resource: serialised message, version (a digest), what it makes Envoy ask for, and the address that it alone can have."""

    version: str
    body: bytes
    needs: tuple[Need, ...] = ()
    place: str = ""


_SMALL = tuple(bytes((n,)) for n in range(0x80))


def digest(data: bytes) -> int:
    """A number that stands for the bytes; 128 bits, so that sums of them can stand for sets."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=16).digest(), "big")


def rendered(type_url: str, fields: Fields, needs: tuple[Need, ...] = (), place: str = "") -> Rendered:
    """The resource of that type with those fields."""
    body = encode(MESSAGES[type_url], fields)
    return Rendered(f"{digest(body):032x}", body, needs, place)


def varint(n: int) -> bytes:
    if n < 0x80:
        return _SMALL[n]
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def frame(field: int, size: int) -> bytes:
    """What stands before the `size` bytes of a length-delimited protobuf field."""
    return varint(field << 3 | 2) + varint(size)


def framed(field: int, data: bytes) -> bytes:
    """One length-delimited protobuf field. A repeated field is the concatenation of its framed members."""
    return frame(field, len(data)) + data
