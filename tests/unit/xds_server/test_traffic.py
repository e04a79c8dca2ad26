"""What a policy on a route's traffic becomes, on the route, its cluster and its endpoints."""

from __future__ import annotations

import base64
from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.features.traffic.admission_control.ir import AdmissionControl, GrpcSuccess, SuccessCriteria
from shared.features.traffic.admission_control.xds import NAME as ADMISSION
from shared.features.traffic.bandwidth_limit.ir import Bandwidth, BandwidthLimit
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.features.traffic.compression.ir import Compression
from shared.features.traffic.fault_injection.ir import FaultAbort, FaultInjection
from shared.features.traffic.health_check.ir import ActiveCheck, HealthCheck, HttpCheck
from shared.features.traffic.load_balancer.ir import ConsistentHash, LoadBalancer, Named, WeightedZone
from shared.features.traffic.request_buffer.ir import RequestBuffer
from shared.features.traffic.response_override.ir import CustomResponse, OverrideRule, ResponseMatch, ResponseOverride, StatusMatch
from shared.features.traffic.telemetry.ir import BackendTelemetry, BackendTracing, Share, SpanName
from shared.features.traffic.timeout.ir import HttpTimeout, TcpTimeout, Timeout
from shared.ir.base import encode
from shared.ir.destination import Endpoint, EndpointsShard
from shared.ir.http import HttpListener
from shared.ir.match import MapEntry, StringMatch
from shared.ir.metadata import PolicyMetadata
from shared.ir.policy import Policies, PolicyShard
from shared.ir.traffic import Traffic
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b


def with_traffic(traffic: Traffic, validate: bool = True, **fields: Any) -> GatewayStore:
    """A store with one route of that traffic."""
    shards = b.gateway(1)
    key = b.route_key("r0")
    route = b.route("r0", host="h0.example.com")
    shards[key] = replace(route, routes=tuple(replace(r, traffic=traffic, **fields) for r in route.routes))
    zones = (Endpoint(host="10.0.0.1", port=80, zone="a"), Endpoint(host="10.0.0.2", port=80, zone="b"))
    shards[b.backend_key("r0")] = EndpointsShard(address_type="IP", endpoints=zones)
    store = b.store(validate=validate)
    store.apply(1, b.encoded(shards))
    return store


def only(store: GatewayStore, url: str) -> dict[str, Any]:
    (resource,) = store.snapshot()[url].values()
    return to_json(decode(MESSAGES[url], decode("google.protobuf.Any", resource.any_bytes).value))


def action(store: GatewayStore) -> dict[str, Any]:
    found: dict[str, Any] = only(store, ROUTE)["virtualHosts"][0]["routes"][0]["route"]
    return found


def test_a_routes_own_timeout_goes_before_the_policys() -> None:
    traffic = Traffic(timeout=Timeout(http=HttpTimeout(request_timeout="5s"), tcp=TcpTimeout(connect_timeout="3s")))
    store = with_traffic(traffic)
    assert action(store)["timeout"] == "5s"
    assert only(store, CLUSTER)["connectTimeout"] == "3s"
    assert action(with_traffic(traffic, timeout="7s"))["timeout"] == "7s"


def test_a_stream_may_be_idle_as_long_as_its_request_may_last() -> None:
    for request, idle in (("5s", "3600s"), ("2h", "7200s"), ("0s", "0s")):
        assert action(with_traffic(Traffic(timeout=Timeout(http=HttpTimeout(request_timeout=request)))))["idleTimeout"] == idle


def test_a_hash_pins_a_client_to_endpoint_and_backend() -> None:
    balancer = LoadBalancer(consistent_hash=ConsistentHash(headers=(Named(name="x-user"),)))
    store = with_traffic(Traffic(load_balancer=balancer))
    assert action(store)["hashPolicy"] == [{"header": {"headerName": "x-user"}}]
    (policy,) = only(store, CLUSTER)["loadBalancingPolicy"]["policies"]
    assert policy["typedExtensionConfig"]["name"] == "envoy.load_balancing_policies.maglev"


def test_zones_have_the_weights_that_they_were_given() -> None:
    store = with_traffic(Traffic(load_balancer=LoadBalancer(weighted_zones=(WeightedZone(zone="b", weight=70),))))
    assert {e["locality"]["zone"]: e["loadBalancingWeight"] for e in only(store, ENDPOINT)["endpoints"]} == {"a": 1, "b": 70}
    assert action(store)["weightedClusters"]["clusters"] == [{"name": "httproute/default/r0/rule/0/backend/0", "weight": 1}]


def test_a_health_check_asks_for_the_routes_host() -> None:
    check = ActiveCheck(timeout="1s", interval="3s", unhealthy_threshold=3, healthy_threshold=1, http=HttpCheck(path="/ok"))
    (made,) = only(with_traffic(Traffic(health_check=HealthCheck(active=check))), CLUSTER)["healthChecks"]
    assert made["httpHealthCheck"] == {"host": "h0.example.com", "path": "/ok"}


def test_circuit_breakers_keep_the_default_for_retries() -> None:
    store = with_traffic(Traffic(circuit_breaker=CircuitBreaker(max_connections=5)))
    assert only(store, CLUSTER)["circuitBreakers"] == {"thresholds": [{"maxConnections": 5, "maxRetries": 1024}]}


def test_a_cluster_that_envoy_would_refuse_costs_its_route_alone() -> None:
    check = ActiveCheck(timeout="1s", interval="0s", unhealthy_threshold=3, healthy_threshold=1, http=HttpCheck(path="/ok"))
    store = with_traffic(Traffic(health_check=HealthCheck(active=check)))
    assert CLUSTER not in store.snapshot()
    (problem,) = store.problems[b.route_key("r0")]
    assert "health_checks.interval" in problem


def test_a_policy_of_all_routes_costs_what_it_is_about() -> None:
    """Edited as to requests it leaves clusters alone, and the other way round; neither disturbs the listener."""
    key = "policy.BackendTrafficPolicy.default.all"

    def policy(request_timeout: str, connections: int) -> bytes:
        traffic = Traffic(
            timeout=Timeout(http=HttpTimeout(request_timeout=request_timeout)), circuit_breaker=CircuitBreaker(max_connections=connections)
        )
        return encode(PolicyShard(policy=PolicyMetadata(kind="BackendTrafficPolicy", name="all", namespace="default"), traffic=traffic))

    store = b.store()
    shards = b.gateway(5)
    listener = shards[b.LISTENER]
    assert isinstance(listener, HttpListener)
    store.apply(1, {**b.encoded(shards), b.LISTENER: encode(replace(listener, policies=Policies(traffic=(key,)))), key: policy("1s", 1)})

    def ran(version: int, data: bytes) -> tuple[set[str], set[str]]:
        before = dict(store.evaluations)
        changes = store.apply(version, {key: data})
        return {k for k, n in store.evaluations.items() if n != before.get(k, 0)}, {t.rpartition(".")[2] for t in changes}

    functions, types = ran(2, policy("2s", 1))
    assert types == {"RouteConfiguration"}
    assert "route_clusters" not in functions
    functions, types = ran(3, policy("2s", 2))
    assert types == {"Cluster"}
    assert "route_outputs" not in functions
    assert "xds_listeners" not in functions


def route_of(store: GatewayStore) -> dict[str, Any]:
    found: dict[str, Any] = only(store, ROUTE)["virtualHosts"][0]["routes"][0]
    return found


def filters_of(store: GatewayStore) -> list[str]:
    listener = only(store, LISTENER)
    return [f["name"] for f in listener["defaultFilterChain"]["filters"][0]["typedConfig"]["httpFilters"]]


def test_filters_of_a_policy_stand_on_the_listener_and_are_off_where_nobody_asks_for_them() -> None:
    store = with_traffic(
        Traffic(
            fault_injection=FaultInjection(abort=FaultAbort(http_status=418, percentage=12.5)),
            bandwidth_limit=BandwidthLimit(request=Bandwidth(limit_kibps=8)),
            compression=(Compression(type="Zstd"), Compression(type="Gzip")),
            request_buffer=RequestBuffer(limit="1Ki"),
        )
    )
    compressors = ["envoy.filters.http.compressor.gzip", "envoy.filters.http.compressor.zstd"]
    limits = ["envoy.filters.http.bandwidth_limit/request", *compressors]
    assert filters_of(store) == ["envoy.filters.http.fault", "envoy.filters.http.buffer", *limits, "envoy.filters.http.router"]
    own = route_of(store)["typedPerFilterConfig"]
    assert own["envoy.filters.http.fault"]["abort"] == {"httpStatus": 418, "percentage": {"numerator": 125000, "denominator": "MILLION"}}
    assert own["envoy.filters.http.buffer"]["buffer"] == {"maxRequestBytes": 1024}
    assert route_of(store)["requestHeadersToRemove"] == ["accept-encoding"]


def test_what_is_held_back_is_not_upgraded() -> None:
    assert "upgradeConfigs" not in action(with_traffic(Traffic(request_buffer=RequestBuffer(limit="1Ki"))))
    assert action(with_traffic(Traffic()))["upgradeConfigs"] == [{"upgradeType": "websocket"}]


def test_an_override_without_a_status_to_look_for_refuses_its_route() -> None:
    rules = (OverrideRule(name="x", response=CustomResponse(status_code=200)),)
    store = with_traffic(Traffic(response_override=ResponseOverride(name="p", rules=rules)))
    assert route_of(store)["directResponse"] == {"status": 500}
    assert store.problems


def test_a_body_that_is_no_format_is_given_as_it_stands() -> None:
    match = ResponseMatch(status_codes=(StatusMatch(value=404),))
    rule = OverrideRule(name="x", match=match, response=CustomResponse(body=base64.b64encode(b"100% lost").decode()))
    listener = only(with_traffic(Traffic(response_override=ResponseOverride(name="p", rules=(rule,)))), LISTENER)
    config = listener["defaultFilterChain"]["filters"][0]["typedConfig"]["httpFilters"][0]["typedConfig"]
    (matcher,) = config["customResponseMatcher"]["matcherList"]["matchers"]
    assert matcher["onMatch"]["action"]["typedConfig"]["bodyFormat"] == {"textFormat": "100%% lost"}


def test_spans_of_a_route_have_shares_that_envoy_can_count() -> None:
    overall = Share(numerator=7, denominator=1000)
    tracing = BackendTracing(sampling_fraction=Share(numerator=1, denominator=3), overall_sampling_fraction=overall)
    found = route_of(with_traffic(Traffic(telemetry=BackendTelemetry(tracing=tracing))))["tracing"]
    assert found["randomSampling"] == {"numerator": 333333, "denominator": "MILLION"}
    assert found["overallSampling"] == {"numerator": 70, "denominator": "TEN_THOUSAND"}
    assert found["clientSampling"] == {}


def test_checks_have_what_envoy_insists_on() -> None:
    check = HealthCheck(active=ActiveCheck(http=HttpCheck(path="/")))
    (found,) = only(with_traffic(Traffic(health_check=check)), CLUSTER)["healthChecks"]
    assert (found["timeout"], found["interval"], found["unhealthyThreshold"], found["healthyThreshold"]) == ("1s", "3s", 3, 1)


def test_admission_is_counted_by_what_the_backend_answers() -> None:
    control = AdmissionControl(min_success_rate=95, success_criteria=SuccessCriteria(grpc=GrpcSuccess(status_codes=("Ok", "NotFound"))))
    options = only(with_traffic(Traffic(admission_control=control)), CLUSTER)["typedExtensionProtocolOptions"]
    filters = options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]["httpFilters"]
    assert [f["name"] for f in filters] == [ADMISSION, "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"]
    assert filters[0]["typedConfig"]["successCriteria"]["grpcCriteria"]["grpcSuccessStatus"] == [0, 5]


def test_names_of_spans_that_envoy_cannot_read_cost_their_route_alone() -> None:
    tracing = BackendTracing(span_name=SpanName(client="%REQ(", server="x"))
    store = with_traffic(Traffic(telemetry=BackendTelemetry(tracing=tracing)))
    assert route_of(store)["directResponse"] == {"status": 500}
    tracing = BackendTracing(tags=(MapEntry(key="a", value="%"),))
    assert route_of(with_traffic(Traffic(telemetry=BackendTelemetry(tracing=tracing))))["directResponse"] == {"status": 500}
    tracing = BackendTracing(span_name=SpanName(client="%REQ(X-A)%", server="%UPSTREAM_HOST%"))
    assert route_of(with_traffic(Traffic(telemetry=BackendTelemetry(tracing=tracing))))["tracing"]["operation"] == "%REQ(X-A)%"


def test_a_response_header_is_not_matched_by_what_is_no_pattern() -> None:
    match = ResponseMatch(response_headers=(StringMatch(name="x", safe_regex="*"),))
    rules = (OverrideRule(name="x", match=match, response=CustomResponse(status_code=200)),)
    assert route_of(with_traffic(Traffic(response_override=ResponseOverride(name="p", rules=rules))))["directResponse"] == {"status": 500}
