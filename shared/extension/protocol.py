"""The extension servers' protocol as bytes: what a hook is called, what its request holds, and what an answer gives back.

Wire-compatible with Envoy Gateway v1.9; extension.proto beside this file says the same in protobuf's language. Resources are passed on
as they were serialised: who only asks has no need to take them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shared.xds.wire import framed, members, single

SERVICE = "envoygateway.extension.EnvoyGatewayExtension"
TRANSLATION = "Translation"


class Shape(NamedTuple):
    """A hook about one resource: its method, the resource's message, and what tells that an answer is about the same resource; '' where
    the name is the server's to change."""

    method: str
    message: str
    name_field: str = "name"


HOOKS: dict[str, Shape] = {
    "Route": Shape("PostRouteModify", "envoy.config.route.v3.Route", ""),
    "VirtualHost": Shape("PostVirtualHostModify", "envoy.config.route.v3.VirtualHost"),
    "HTTPListener": Shape("PostHTTPListenerModify", "envoy.config.listener.v3.Listener"),
    "Cluster": Shape("PostClusterModify", "envoy.config.cluster.v3.Cluster"),
    "Endpoints": Shape("PostEndpointsModify", "envoy.config.endpoint.v3.ClusterLoadAssignment", "cluster_name"),
}
OF_ALL = frozenset({"VirtualHost", "HTTPListener", "Endpoints"})
"""Hooks that are asked about every resource of their kind, whoever refers to whatever."""
METHODS = {**{hook: shape.method for hook, shape in HOOKS.items()}, TRANSLATION: "PostTranslateModify"}


class Included(NamedTuple):
    """One kind of resource in the Translation hook: its message, and its field's number in requests and in answers."""

    message: str
    request: int
    response: int


INCLUDED: dict[str, Included] = {
    "cluster": Included("envoy.config.cluster.v3.Cluster", 2, 1),
    "secret": Included("envoy.extensions.transport_sockets.tls.v3.Secret", 3, 2),
    "listener": Included("envoy.config.listener.v3.Listener", 4, 3),
    "route": Included("envoy.config.route.v3.RouteConfiguration", 5, 4),
}


def objects(field: int, given: Iterable[bytes]) -> bytes:
    """ExtensionResources in that field of a context; each is an object as JSON."""
    return b"".join(framed(field, framed(1, each)) for each in given)


def route_context(resources: Iterable[bytes], hostnames: Iterable[str], policies: Iterable[bytes]) -> bytes:
    """PostRouteExtensionContext."""
    return objects(1, resources) + b"".join(framed(2, h.encode()) for h in hostnames) + objects(3, policies)


def request(resource: bytes, context: bytes = b"") -> bytes:
    """The request of a hook about one resource."""
    return framed(1, resource) + framed(2, context)


def answered(response: bytes) -> bytes | None:
    """The resource in the answer of such a hook; None: it is to stay as it was. Raises Malformed."""
    return single(response, 1)


def translation_request(policies: Iterable[bytes], resources: Iterable[tuple[str, Iterable[bytes]]]) -> bytes:
    """The Translation hook's request, of resources by their kind (a key of INCLUDED)."""
    parts = [framed(1, objects(1, policies))]
    parts += [framed(INCLUDED[kind].request, each) for kind, of in resources for each in of]
    return b"".join(parts)


def translated(response: bytes) -> dict[str, list[bytes]]:
    """Resources by kind in the Translation hook's answer. Raises Malformed."""
    kinds = {each.response: kind for kind, each in INCLUDED.items()}
    out: dict[str, list[bytes]] = {kind: [] for kind in INCLUDED}
    for number, content in members(response):
        if number in kinds:
            out[kinds[number]].append(content)
    return out


def name_of(resource: bytes) -> str:
    """The name of a resource that may stand in a translation: the first field of all of them. Raises ValueError."""
    return (single(resource, 1) or b"").decode()
