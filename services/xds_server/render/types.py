"""Resource types of xDS and the value that every renderer ends in: one serialised resource."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from shared.xds.message import TYPE_PREFIX, Fields, encode
from shared.xds.wire import frame, framed, varint

__all__ = ["frame", "framed", "varint"]

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


def digest(data: bytes) -> int:
    """A number that stands for the bytes; 128 bits, so that sums of them can stand for sets."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=16).digest(), "big")


def rendered(type_url: str, fields: Fields, needs: tuple[Need, ...] = (), place: str = "") -> Rendered:
    """The resource of that type with those fields."""
    body = encode(MESSAGES[type_url], fields)
    return Rendered(f"{digest(body):032x}", body, needs, place)
