"""Access logs over the network and tracing: what stands on listeners, and the clusters behind it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES
from services.xds_server.store import GatewayStore
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.features.traffic.timeout.ir import TcpTimeout, Timeout
from shared.ir.destination import Destination
from shared.ir.gateway import AccessLog, GatewayShard, ReadyListener
from shared.ir.shards import GATEWAY
from shared.ir.telemetry import AlsAccessLog, Tracing
from shared.ir.traffic import ClusterTraffic
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

SINK = Destination(name="accesslog_als_0_1", settings=(replace(b.setting("x", "sink"), protocol="GRPC"),))
READY = ReadyListener(address="127.0.0.1", port=19003, path="/ready", ip_family="IPv4")


def with_gateway(**fields: Any) -> GatewayStore:
    store = b.store()
    gateway = GatewayShard(http_listeners=(b.LISTENER,), ready_listener=READY, **fields)
    store.apply(1, b.encoded({GATEWAY: gateway, b.LISTENER: b.listener(), b.backend_key("sink"): b.backend(("10.0.0.9", 9000))}))
    return store


def made(store: GatewayStore, url: str, name: str) -> dict[str, Any]:
    return to_json(decode(MESSAGES[url], decode("google.protobuf.Any", store.snapshot()[url][name].any_bytes).value))


def test_a_log_service_has_a_cluster_and_its_endpoints() -> None:
    traffic = ClusterTraffic(circuit_breaker=CircuitBreaker(max_connections=7))
    store = with_gateway(access_log=AccessLog(als=(AlsAccessLog(destination=SINK, name="log", traffic=traffic),)))
    logs = made(store, LISTENER, "default/eg/http")["accessLog"]
    assert logs[0]["typedConfig"]["commonConfig"]["grpcService"] == {"envoyGrpc": {"clusterName": "accesslog_als_0_1"}}
    assert made(store, CLUSTER, "accesslog_als_0_1")["circuitBreakers"]["thresholds"][0]["maxConnections"] == 7
    changed = store.apply(2, b.encoded({b.backend_key("sink"): b.backend(("10.0.0.8", 9000))}))
    assert {url: list(c.upserts) for url, c in changed.items()} == {ENDPOINT: ["accesslog_als_0_1"]}


def test_requests_are_traced_as_the_gateway_says() -> None:
    tracing = Tracing(service_name="eg", provider={"type": "OpenTelemetry"}, destination=SINK, sampling_rate=25)
    (hcm,) = made(with_gateway(tracing=tracing), LISTENER, "default/eg/http")["defaultFilterChain"]["filters"]
    assert hcm["typedConfig"]["tracing"]["randomSampling"] == {"value": 25.0}


def test_tracing_to_nobody_known_is_named_and_costs_nothing_else() -> None:
    store = with_gateway(tracing=Tracing(service_name="eg", provider={"type": "Telepathy"}, destination=SINK))
    assert "Telepathy" in store.problems[GATEWAY][0]
    assert "tracing" not in made(store, LISTENER, "default/eg/http")["defaultFilterChain"]["filters"][0]["typedConfig"]


def test_a_sink_that_cannot_be_rendered_leaves_readiness_alone() -> None:
    broken = ClusterTraffic(timeout=Timeout(tcp=TcpTimeout(connect_timeout="-1s")))
    store = with_gateway(access_log=AccessLog(als=(AlsAccessLog(destination=SINK, traffic=broken),)))
    assert "connect_timeout" in store.problems[GATEWAY][0]
    assert "envoy-gateway-proxy-ready-127.0.0.1-19003" in store.snapshot()[LISTENER]
