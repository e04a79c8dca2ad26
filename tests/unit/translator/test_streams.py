"""TLS, TCP and UDP: listeners, the routes that they take, and which of these is served."""

from __future__ import annotations

import json
from typing import Any

from shared.ir.tcp import TcpTls, TlsInspector
from tests.unit.translator.build import (
    FLEET,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    http,
    listener,
    made,
    service,
    stream_route,
)
from tests.unit.translator.certificates import tls_secret
from tests.unit.translator.test_incremental import evaluated

PASSTHROUGH = listener("TLS", "tls", 443, tls={"mode": "Passthrough"})
TERMINATE = listener("TLS", "tls", 443, tls={"mode": "Terminate", "certificateRefs": [{"name": "cert"}]})
DNS = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]


def fleet(*listeners: Object, routes: tuple[Object, ...] = (), **settings: Any) -> World:
    return World(gateway_class(), gateway(*listeners), service(), endpoints("app", "10.1.1.1"), tls_secret(), *routes, **settings)


def aged(obj: Object, created: str) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": created}}


def conditions(world: World, at: int = 0) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in world.status(gateway())["listeners"][at]["conditions"]}


def test_the_oldest_tcp_route_is_served_and_all_are_accepted() -> None:
    old, new = aged(stream_route("TCPRoute", "old"), "2020-01-01T00:00:00Z"), aged(stream_route("TCPRoute", "new"), "2021-01-01T00:00:00Z")
    world = fleet(listener("TCP", "tcp", 5432), routes=(new, old))
    (tcp,) = world.ir().tcp
    assert (tcp.name, tcp.port, tcp.tls) == ("default/eg/tcp", 5432, None)
    assert [r.name for r in tcp.routes] == ["tcproute/default/old"]
    assert [world.condition(r, "Accepted") for r in (old, new)] == [("True", "Accepted")] * 2
    assert world.status(gateway())["listeners"][0]["attachedRoutes"] == 2
    world.drop(old)
    assert [r.name for r in world.ir().tcp[0].routes] == ["tcproute/default/new"]
    assert list(world.last.shards[FLEET]) == ["tcp.tcp.TCPRoute.default.old"]


def test_names_choose_among_tls_routes() -> None:
    routes = (stream_route("TLSRoute", "a", hostnames=["a.com"]), stream_route("TLSRoute", "b", hostnames=["b.com", "c.com"]))
    (tcp,) = fleet(PASSTHROUGH, routes=routes).ir().tcp
    assert [r.tls for r in tcp.routes] == [TcpTls(inspector=TlsInspector(snis=n)) for n in (("a.com",), ("b.com", "c.com"))]


def test_tls_that_ends_at_the_listener() -> None:
    world = fleet(TERMINATE, routes=(stream_route("TLSRoute", hostnames=["a.com"]),))
    (tcp,) = world.ir().tcp
    assert tcp.tls is not None
    assert tcp.tls.alpn_protocols == ()
    assert tcp.routes[0].tls == TcpTls(inspector=TlsInspector(snis=("a.com",)), terminate=tcp.tls)
    assert b"privateKey" not in world.shards[FLEET]["tcp.tls.TLSRoute.default.db"]


def test_a_tls_route_goes_before_a_tcp_route_on_the_same_listener() -> None:
    tcp = aged(stream_route("TCPRoute"), "2020-01-01T00:00:00Z")
    world = fleet(TERMINATE, routes=(tcp, stream_route("TLSRoute")))
    assert [r.name for r in world.ir().tcp[0].routes] == ["tlsroute/default/db"]
    world.drop(stream_route("TLSRoute"))
    (only,) = world.ir().tcp[0].routes
    assert only.tls is not None
    assert only.tls.inspector is None
    assert only.tls.terminate is not None


def test_an_unknown_certificate_holds_back_its_tls_listener_alone() -> None:
    world = World(gateway_class(), gateway(TERMINATE, listener("TCP", "tcp", 5432)))
    assert [each.name for each in world.ir().tcp] == ["default/eg/tcp"]
    assert world.last.pending
    world.put(tls_secret())
    assert [each.name for each in world.ir().tcp] == ["default/eg/tls", "default/eg/tcp"]


def test_one_number_may_be_a_tcp_and_a_udp_port() -> None:
    slices = {**endpoints("app", "10.1.1.1")}
    slices["ports"] = [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354, "protocol": "TCP"}]
    world = World(
        gateway_class(),
        gateway(listener("UDP", "dns", 53), listener("TCP", "dns-tcp", 53)),
        service(ports=DNS),
        slices,
        stream_route("UDPRoute", port=53),
        stream_route("TCPRoute", port=53),
    )
    ir = world.ir()
    assert [(u.port, u.route.destination.settings[0].endpoints[0].port) for u in ir.udp if u.route and u.route.destination] == [
        (10053, 5353)
    ]
    assert [r.destination.settings[0].endpoints[0].port for r in ir.tcp[0].routes if r.destination] == [5354]
    assert [p["ports"][0]["protocol"] for p in json.loads(world.infra[FLEET])["proxy"]["listeners"]] == ["UDP", "TCP"]


def test_backends_without_endpoints_are_left_out_and_named() -> None:
    route = stream_route("TCPRoute", rules=[{"backendRefs": [{"name": "app", "port": 80}, {"name": "none", "port": 80}]}])
    world = fleet(listener("TCP", "tcp", 5432), routes=(route, service("none")))
    (made_route,) = world.ir().tcp[0].routes
    assert made_route.destination is not None
    assert [s.name for s in made_route.destination.settings] == ["tcproute/default/db/rule/-1/backend/0"]
    assert world.condition(route, "ResolvedRefs") == ("False", "EndpointsNotFound")
    assert world.condition(route, "Accepted") == ("True", "Accepted")


def test_one_rule_only() -> None:
    rule = {"backendRefs": [{"name": "app", "port": 80}]}
    for kind, protocol in (("TCPRoute", "TCP"), ("UDPRoute", "UDP")):
        route = stream_route(kind, rules=[rule, rule])
        world = fleet(listener(protocol, "l4", 5432), routes=(route,))
        assert world.condition(route, "Accepted") == ("False", "InvalidRule")
        assert world.status(gateway())["listeners"][0]["attachedRoutes"] == 0


def test_a_dynamic_resolver_needs_tls_to_pass_through() -> None:
    backend = made("gateway.envoyproxy.io/v1alpha1", "Backend", "any", {"type": "DynamicResolver"})
    ref = {"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "any"}
    route = stream_route("TLSRoute", rules=[{"backendRefs": [ref]}])
    ended = fleet(TERMINATE, routes=(route, backend), backend=True)
    assert ended.condition(route, "ResolvedRefs") == ("False", "UnsupportedValue")
    assert ended.ir().tcp[0].routes == ()
    passed = fleet(PASSTHROUGH, routes=(route, backend), backend=True)
    assert passed.condition(route, "ResolvedRefs") == ("True", "ResolvedRefs")
    (only,) = passed.ir().tcp[0].routes
    assert only.destination is not None
    assert only.destination.settings[0].is_dynamic_resolver


def test_a_port_speaks_one_protocol() -> None:
    world = fleet(http(port=80), listener("TCP", "tcp", 80))
    assert (world.ir().http, world.ir().tcp) == ((), ())
    assert conditions(world)["Conflicted"] == conditions(world, 1)["Conflicted"] == "ProtocolConflict"


def test_new_endpoints_touch_no_stream_route() -> None:
    world = fleet(listener("TCP", "tcp", 5432), routes=tuple(stream_route("TCPRoute", f"r{i}") for i in range(20)))
    cost = evaluated(world, lambda: world.put(endpoints("app", "10.1.1.1", "10.1.1.2")))
    assert list(world.last.shards[FLEET]) == ["endpoints.Service.default.app.80"]
    assert "rules" not in cost


def test_a_new_certificate_touches_no_route() -> None:
    world = fleet(TERMINATE, routes=tuple(stream_route("TLSRoute", f"r{i}", hostnames=[f"h{i}.com"]) for i in range(20)))
    fresh = {**tls_secret("other"), "metadata": tls_secret()["metadata"]}
    cost = evaluated(world, lambda: world.put(fresh))
    assert list(world.last.shards[FLEET]) == ["tcp.tls"]
    assert "rules" not in cost
    assert "attachments" not in cost
