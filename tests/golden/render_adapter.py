"""Renders an assembled IR as the reference cases have it: cut into shards, through the same store that serves proxies."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from services.xds_server.render.names import Names
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES, ROUTE, SECRET
from services.xds_server.store import GatewayStore
from shared.core.refs import ObjectRef
from shared.features.extension.wasm.ir import ModuleService
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.ir.gateway import GatewayShard, Xds
from shared.ir.http import HttpRouteShard, RouteOrder
from shared.ir.patch import PatchShard
from shared.ir.shards import (
    GATEWAY,
    Shard,
    cluster_key,
    http_key,
    http_route_key,
    policy_key,
    tcp_key,
    tcp_route_key,
    udp_key,
    udp_route_key,
)
from shared.ir.tcp import TcpRouteShard
from shared.ir.udp import UdpRouteShard
from shared.xds.message import decode, to_json

_ASPECTS = {"listeners": LISTENER, "routes": ROUTE, "clusters": CLUSTER, "endpoints": ENDPOINT, "secrets": SECRET}
_SPELLINGS = {"accesslog": "accessLog", "backoff": "backOff", "CACertificate": "caCertificate", "Name": "name", "PrivateKey": "privateKey"}
_BYTES = ("certificate", "privateKey", "body", "ocspStaple", "data")


def normal(value: Any) -> Any:
    """Go reads field names in any case, and some cases write bytes as lists of numbers."""
    if isinstance(value, dict):
        known = {k: _text(v) if k in _BYTES else _words(v) if k == "values" else normal(v) for k, v in value.items() if v is not None}
        return {_SPELLINGS.get(k, k): v for k, v in known.items() if _SPELLINGS.get(k) not in known}
    if isinstance(value, list):
        return [normal(v) for v in value]
    return value


def _words(value: Any) -> Any:
    """Values of headers and claims are texts, also where a case writes them as numbers."""
    return [str(v) if isinstance(v, int) else normal(v) for v in value] if isinstance(value, list) else normal(value)


def _text(value: Any) -> Any:
    return base64.b64encode(bytes(value)).decode() if isinstance(value, list) else value


def _opened(token: str) -> bytes:
    return base64.b64decode(token) if token != "[redacted]" else b"[redacted]"


def shards(xds: Xds, service: RateLimitService | None = None) -> dict[str, Shard]:
    """Shards that assemble to this IR; the routes of a listener keep the order in which they stand."""
    out: dict[str, Shard] = {}
    for n, listener in enumerate(xds.http):
        name = f"listener-{n:04}"
        out[http_key(name)] = msgspec.structs.replace(listener, routes=(), preserve_route_order=True)
        if listener.routes:
            out[http_route_key(name, "HTTPRoute", "golden", "routes")] = HttpRouteShard(order=RouteOrder(), routes=listener.routes)
    for n, stream in enumerate(xds.tcp):
        name = f"listener-{n:04}"
        ends = next((r.tls.terminate for r in stream.routes if r.tls is not None and r.tls.terminate is not None), None)
        if ends is not None and stream.tls is not None:
            ends = msgspec.structs.replace(ends, fingerprints=stream.tls.fingerprints)
        out[tcp_key(name)] = msgspec.structs.replace(stream, routes=(), tls=ends or stream.tls)
        for i, route in enumerate(stream.routes):
            out[tcp_route_key(name, "TLSRoute", "golden", f"{i:04}")] = TcpRouteShard(order=RouteOrder(name=f"{i:04}"), route=route)
    for n, datagrams in enumerate(xds.udp):
        name = f"listener-{n:04}"
        out[udp_key(name)] = msgspec.structs.replace(datagrams, route=None)
        if datagrams.route is not None:
            out[udp_route_key(name, "UDPRoute", "golden", "route")] = UdpRouteShard(order=RouteOrder(), route=datagrams.route)
    for n, cluster in enumerate(xds.backend_clusters):
        # cases name clusters as they like
        out[cluster_key(f"golden/golden/{n:04}/0/any")] = cluster
    for n, patches in enumerate(xds.envoy_patch_policies):
        out[policy_key(ObjectRef("", "EnvoyPatchPolicy", patches.namespace, patches.name))] = PatchShard(priority=n, policy=patches)
    out[GATEWAY] = GatewayShard(
        access_log=xds.access_log,
        tracing=xds.tracing,
        health_check_log=xds.health_check_log,
        filter_order=xds.filter_order,
        metrics=xds.metrics,
        global_resources=xds.global_resources,
        ready_listener=xds.ready_listener,
        rate_limit_service=service,
        module_service=ModuleService(host="envoy-gateway.envoy-gateway-system.svc.cluster.local", port=18002),
        http_listeners=tuple(http_key(f"listener-{n:04}") for n in range(len(xds.http))),
        tcp_listeners=tuple(tcp_key(f"listener-{n:04}") for n in range(len(xds.tcp))),
        udp_listeners=tuple(udp_key(f"listener-{n:04}") for n in range(len(xds.udp))),
    )
    return out


def render(ir: dict[str, Any], settings: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Envoy resources in protobuf's JSON form, by aspect; raises for an IR that cannot be rendered."""
    service = RateLimitService(host=f"envoy-ratelimit.envoy-gateway-system.svc.{settings.get('dnsDomain', 'cluster.local')}", port=8081)
    xds = msgspec.convert(normal(ir), Xds)
    # the reference takes regexes as they are, and does not look for misdirected requests (docs/adr/0017)
    names = Names(by_port="XDSNameSchemeV2" in settings.get("runtimeFlags", ()))
    store = GatewayStore(_opened, validate=False, names=names, misdirected=False)
    given = shards(xds, service)
    store.set_shards(given)
    if any(len(texts) >= _size(given[key]) for key, texts in store.problems.items()):
        raise ValueError(str(store.problems))
    resources = store.snapshot()
    return {
        aspect: [_named(to_json(decode(MESSAGES[url], _body(r.any_bytes)))) for r in resources.get(url, {}).values()]
        for aspect, url in _ASPECTS.items()
    }


def _named(resource: Any) -> Any:
    """The reference names a Wasm machine after its filter alone; here its module's checksum follows, without which Envoy would run a new
    module in the machine of the old one."""
    if isinstance(resource, dict):
        return {k: str(v).rpartition("/")[0] if k == "vmId" else _named(v) for k, v in resource.items()}
    return [_named(v) for v in resource] if isinstance(resource, list) else resource


def _size(shard: Shard) -> int:
    """Of how many routes a shard is: a route that cannot be rendered is no error as long as there are others."""
    return len(shard.routes) if isinstance(shard, HttpRouteShard) else 1


def _body(any_bytes: bytes) -> bytes:
    value: bytes = decode("google.protobuf.Any", any_bytes).value
    return value
