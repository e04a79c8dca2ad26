"""How a Gateway's IR is cut into shards, and how they are put together again.

A shard's key is the tail of its subject after `ir.xds.<ns>.<name>.`. `assemble` is the one place that knows what crosses
shards; the xds_server does the same incrementally.
"""

from __future__ import annotations

from shared.core import names
from shared.core.refs import ObjectRef
from shared.ir.base import IR, decode
from shared.ir.destination import BackendCluster, EndpointsShard
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener, HttpRouteShard
from shared.ir.patch import PatchShard
from shared.ir.policy import PolicyShard
from shared.ir.tcp import TcpListener, TcpRouteShard
from shared.ir.udp import UdpListener, UdpRouteShard
from shared.ir.unstructured import ExtensionShard

Shard = (
    GatewayShard
    | HttpListener
    | HttpRouteShard
    | TcpListener
    | TcpRouteShard
    | UdpListener
    | UdpRouteShard
    | EndpointsShard
    | BackendCluster
    | PolicyShard
    | PatchShard
    | ExtensionShard
)

GATEWAY = "gateway"
COMMIT = "commit"


def http_key(listener: str) -> str:
    """Key of an HTTP listener's shard; `listener` is unique within the Gateway (its section name)."""
    return names.join("http", listener)


def http_route_key(listener: str, kind: str, namespace: str, name: str) -> str:
    return names.join("http", listener, kind, namespace, name)


def tcp_key(listener: str) -> str:
    """Key of a TLS or TCP listener's shard."""
    return names.join("tcp", listener)


def tcp_route_key(listener: str, kind: str, namespace: str, name: str) -> str:
    return names.join("tcp", listener, kind, namespace, name)


def udp_key(listener: str) -> str:
    """Key of a UDP listener's shard."""
    return names.join("udp", listener)


def udp_route_key(listener: str, kind: str, namespace: str, name: str) -> str:
    return names.join("udp", listener, kind, namespace, name)


def endpoints_key(kind: str, namespace: str, name: str, port: int | str) -> str:
    return names.join("endpoints", kind, namespace, name, str(port))


def cluster_key(name: str) -> str:
    """Key of a shared cluster's shard by its name: kind, namespace, name, port and protocol of the backend."""
    return names.join("clusters", *name.split("/"))


def policy_key(policy: ObjectRef, over: ObjectRef | None = None) -> str:
    """Key of a policy's shard, or of the one that it makes together with a parent's."""
    return names.join("policy", policy.kind, policy.namespace, policy.name, *((over.namespace, over.name) if over is not None else ()))


def extension_key(of: ObjectRef) -> str:
    """Key of the shard of an extension server's object."""
    return names.join("extension", of.group, of.kind, of.namespace, of.name)


def shard_type(key: str) -> type[IR]:
    """The struct that stands under a key; KeyError for a key of no known shape."""
    tokens = key.split(".")
    if tokens[:2] == _PATCHES:
        return PatchShard
    return _TYPES[tokens[0], len(tokens)]


_PATCHES = ["policy", "EnvoyPatchPolicy"]
_TYPES: dict[tuple[str, int], type[IR]] = {
    (GATEWAY, 1): GatewayShard,
    ("http", 2): HttpListener,
    ("http", 5): HttpRouteShard,
    ("tcp", 2): TcpListener,
    ("tcp", 5): TcpRouteShard,
    ("udp", 2): UdpListener,
    ("udp", 5): UdpRouteShard,
    ("endpoints", 5): EndpointsShard,
    ("clusters", 6): BackendCluster,
    ("extension", 5): ExtensionShard,
    ("policy", 4): PolicyShard,
    ("policy", 6): PolicyShard,
}


def parse(key: str, data: bytes) -> Shard:
    """A shard from its bytes on the bus."""
    return decode(data, shard_type(key))  # type: ignore[return-value]
