"""TCP, TLS and UDP listeners: which routes they serve, beside whom they stand."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES
from services.xds_server.store import GatewayStore
from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.gateway import GatewayShard
from shared.ir.http import RouteOrder
from shared.ir.metadata import ResourceMetadata
from shared.ir.shards import GATEWAY, tcp_key, tcp_route_key, udp_key, udp_route_key
from shared.ir.tcp import TcpListener, TcpRoute, TcpRouteShard, TcpTls, TlsInspector
from shared.ir.udp import UdpListener, UdpRoute, UdpRouteShard
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

TCP, UDP = tcp_key("tcp"), udp_key("udp")
OF_GATEWAY = ResourceMetadata(kind="Gateway", namespace="default", name="eg")


def listener(name: str, port: int = 9000) -> TcpListener:
    return TcpListener(name=f"default/eg/{name}", address="127.0.0.1", port=port, metadata=OF_GATEWAY)


def to(name: str) -> Destination:
    return Destination(name=f"tcproute/default/{name}/rule/0", settings=(replace(b.setting(name, "app"), protocol="TCP"),))


def tcp_route(name: str, created: str) -> IR:
    return TcpRouteShard(order=RouteOrder(kind_rank=1, created=created, name=name), route=TcpRoute(name=name, destination=to(name)))


def tls_route(name: str, sni: str) -> IR:
    route = TcpRoute(name=name, tls=TcpTls(inspector=TlsInspector(snis=(sni,))), destination=to(name))
    return TcpRouteShard(order=RouteOrder(name=name), route=route)


def tcp_gateway() -> b.Shards:
    return {GATEWAY: GatewayShard(tcp_listeners=(TCP,)), TCP: listener("tcp"), b.backend_key("app"): b.backend(("10.0.0.1", 80))}


def listeners(store: GatewayStore) -> dict[str, dict[str, Any]]:
    found = store.snapshot().get(LISTENER, {})
    return {n: to_json(decode(MESSAGES[LISTENER], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in found.items()}


def chains(store: GatewayStore, name: str = "default/eg/tcp") -> dict[str, str]:
    """Name of each filter chain -> the cluster of its last filter."""
    return {c["name"]: c["filters"][-1]["typedConfig"]["cluster"] for c in listeners(store)[name].get("filterChains", [])}


def test_the_oldest_tcp_route_has_the_listener() -> None:
    store = b.store()
    shards = tcp_gateway()
    shards[tcp_route_key("tcp", "TCPRoute", "default", "young")] = tcp_route("young", "2026-02-01T00:00:00Z")
    store.apply(1, b.encoded(shards))
    assert chains(store) == {"young": "tcproute/default/young/rule/0"}
    store.apply(2, b.encoded({tcp_route_key("tcp", "TCPRoute", "default", "old"): tcp_route("old", "2026-01-01T00:00:00Z")}))
    assert chains(store) == {"old": "tcproute/default/old/rule/0"}
    assert "tcproute/default/old/rule/0" in store.snapshot()[ENDPOINT]
    store.apply(3, {tcp_route_key("tcp", "TCPRoute", "default", "old"): None})
    assert chains(store) == {"young": "tcproute/default/young/rule/0"}


def test_tls_routes_are_told_apart_by_their_names() -> None:
    store = b.store()
    shards = tcp_gateway()
    for name in ("a", "b"):
        shards[tcp_route_key("tcp", "TLSRoute", "default", name)] = tls_route(name, f"{name}.example.com")
    store.apply(1, b.encoded(shards))
    made = listeners(store)["default/eg/tcp"]
    assert [c["filterChainMatch"] for c in made["filterChains"]] == [{"serverNames": ["a.example.com"]}, {"serverNames": ["b.example.com"]}]
    assert [f["name"] for f in made["listenerFilters"]] == ["envoy.filters.listener.tls_inspector"]


def test_a_listener_without_routes_leads_nowhere_until_it_has_one() -> None:
    store = b.store()
    store.apply(1, b.encoded(tcp_gateway()))
    assert chains(store) == {"EmptyCluster": "EmptyCluster"}
    assert "EmptyCluster" in store.snapshot()[CLUSTER]
    store.apply(2, b.encoded({tcp_route_key("tcp", "TCPRoute", "default", "a"): tcp_route("a", "")}))
    assert chains(store) == {"a": "tcproute/default/a/rule/0"}
    assert "EmptyCluster" not in store.snapshot()[CLUSTER]


def test_http_and_tls_share_a_port() -> None:
    store = b.store()
    shards = b.gateway(1, port=9000) | {TCP: listener("tcp"), b.backend_key("app"): b.backend(("10.0.0.1", 80))}
    shards[GATEWAY] = GatewayShard(http_listeners=(b.LISTENER,), tcp_listeners=(TCP,))
    shards[tcp_route_key("tcp", "TLSRoute", "default", "a")] = tls_route("a", "a.example.com")
    store.apply(1, b.encoded(shards))
    (made,) = listeners(store).values()
    assert [c["name"] for c in made["filterChains"]] == ["a"]
    assert made["defaultFilterChain"]["name"] == "default/eg/http"


def test_udp_has_its_own_ports() -> None:
    store = b.store()
    udp = UdpListener(name="default/eg/udp", address="127.0.0.1", port=9000, metadata=OF_GATEWAY)
    shards = tcp_gateway() | {UDP: udp, GATEWAY: GatewayShard(tcp_listeners=(TCP,), udp_listeners=(UDP,))}
    route = UdpRoute(name="a", destination=to("a"))
    shards[udp_route_key("udp", "UDPRoute", "default", "a")] = UdpRouteShard(order=RouteOrder(name="a"), route=route)
    store.apply(1, b.encoded(shards))
    assert sorted(listeners(store)) == ["default/eg/tcp", "default/eg/udp"]
    places = {r.place for r in store.snapshot()[LISTENER].values()}
    assert places == {"127.0.0.1:9000", "udp 127.0.0.1:9000"}


def test_endpoints_of_a_stream_are_changed_alone() -> None:
    store = b.store()
    shards = tcp_gateway()
    shards[tcp_route_key("tcp", "TCPRoute", "default", "a")] = tcp_route("a", "")
    store.apply(1, b.encoded(shards))
    changed = store.apply(2, b.encoded({b.backend_key("app"): b.backend(("10.0.0.2", 80))}))
    assert {url: list(c.upserts) for url, c in changed.items()} == {ENDPOINT: ["tcproute/default/a/rule/0"]}
