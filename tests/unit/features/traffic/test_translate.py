"""From what a BackendTrafficPolicy says to its IR, room by room: what is taken over, what is put right, and what is refused."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import pytest

from shared.features.parts.faults import Faults
from shared.features.route.retry import translate as retry
from shared.features.route.retry.ir import BackOff, PerRetry, Retry, RetryOn
from shared.features.route.retry.spec import PolicyRetrySpec
from shared.features.traffic.backend_connection import translate as backend_connection
from shared.features.traffic.backend_connection.spec import BackendConnectionSpec
from shared.features.traffic.bandwidth_limit import translate as bandwidth_limit
from shared.features.traffic.bandwidth_limit.ir import Bandwidth, BandwidthLimit, ResponseTrailers
from shared.features.traffic.bandwidth_limit.spec import BandwidthLimitSpec
from shared.features.traffic.circuit_breaker import translate as circuit_breaker
from shared.features.traffic.circuit_breaker.ir import RetryBudget
from shared.features.traffic.circuit_breaker.spec import CircuitBreakerSpec
from shared.features.traffic.compression import translate as compression
from shared.features.traffic.compression.ir import Compression
from shared.features.traffic.compression.spec import CompressionSpec
from shared.features.traffic.fault_injection import translate as fault_injection
from shared.features.traffic.fault_injection.ir import FaultAbort, FaultDelay
from shared.features.traffic.fault_injection.spec import FaultInjectionSpec
from shared.features.traffic.health_check import translate as health_check
from shared.features.traffic.health_check.ir import HttpCheck, Payload
from shared.features.traffic.health_check.spec import HealthCheckSpec
from shared.features.traffic.load_balancer import translate as load_balancer
from shared.features.traffic.load_balancer.ir import ConsistentHash, LoadBalancer, Named
from shared.features.traffic.load_balancer.spec import LoadBalancerSpec
from shared.features.traffic.request_buffer import translate as request_buffer
from shared.features.traffic.request_buffer.spec import RequestBufferSpec
from shared.features.traffic.response_override import translate as response_override
from shared.features.traffic.response_override.spec import ResponseOverrideSpec
from shared.features.traffic.telemetry import translate as telemetry
from shared.features.traffic.telemetry.spec import BackendTelemetrySpec
from shared.features.traffic.timeout import translate as timeout
from shared.features.traffic.timeout.ir import HttpTimeout
from shared.features.traffic.timeout.spec import TimeoutSpec

T = TypeVar("T")


def spec(kind: type[T], **fields: Any) -> T:
    return msgspec.convert(fields, kind)


def test_timeouts_that_are_none_do_not_hide_the_others() -> None:
    faults = Faults()
    found = timeout.translate(
        spec(TimeoutSpec, http={"requestTimeout": "90s", "streamIdleTimeout": "soon"}, tcp={"connectTimeout": "?"}), faults
    )
    assert found is not None
    assert (found.http, found.tcp) == (HttpTimeout(request_timeout="1m30s"), None)
    assert faults.texts == ["Timeout: invalid ConnectTimeout value ?", "Timeout: invalid StreamIdleTimeout value soon"]


def test_triggers_and_codes_of_retries_stand_once_and_in_order() -> None:
    on = {"triggers": ["reset", "5xx", "reset"], "httpStatusCodes": [503, 429, 503]}
    found = retry.of_policy(spec(PolicyRetrySpec, numRetries=4, retryOn=on), Faults())
    assert found == Retry(num_retries=4, retry_on=RetryOn(triggers=("5xx", "reset"), http_status_codes=(429, 503)))


@pytest.mark.parametrize(
    ("back_off", "fault"),
    [
        ({"baseInterval": "0s"}, "baseInterval cannot be set to 0s"),
        ({"maxInterval": "0s"}, "maxInterval cannot be set to 0s"),
        ({"baseInterval": "2s", "maxInterval": "1s"}, "maxInterval cannot be less than baseInterval"),
        ({"baseInterval": "1s", "maxInterval": "2s"}, None),
    ],
)
def test_retries_wait_longer_and_longer(back_off: dict[str, str], fault: str | None) -> None:
    faults = Faults()
    found = retry.of_policy(spec(PolicyRetrySpec, perRetry={"backOff": back_off}), faults)
    assert faults.texts == ([f"Retry: {fault}"] if fault is not None else [])
    if fault is None:
        assert found == Retry(per_retry=PerRetry(back_off=BackOff(base_interval="1s", max_interval="2s")))


@pytest.mark.parametrize(("size", "sound"), [("100M", True), ("100m", False), ("1000G", False), (-1, False)])
def test_buffers_have_a_size_that_envoy_can_hold(size: str | int, sound: bool) -> None:
    faults = Faults()
    backend_connection.translate(spec(BackendConnectionSpec, bufferLimit=size), faults)
    assert (not faults.texts) is sound


def test_circuit_breakers_hold_numbers_of_32_bits_and_budgets_in_percent() -> None:
    faults = Faults()
    budget = {"percent": {"numerator": 1, "denominator": 8}}
    found = circuit_breaker.translate(spec(CircuitBreakerSpec, maxConnections=-1, maxPendingRequests=7, retryBudget=budget), faults)
    assert found is not None
    assert (found.max_connections, found.max_pending_requests) == (None, 7)
    assert found.retry_budget == RetryBudget(percent=12.5, min_retry_concurrency=3)
    assert faults.texts == ["CircuitBreaker: invalid MaxConnections value -1"]


def test_checks_expect_200_and_send_methods_in_capitals() -> None:
    check = {"type": "HTTP", "http": {"path": "/up", "method": "get", "expectedResponse": {"type": "Text", "text": "ok", "binary": "eA=="}}}
    found = health_check.translate(spec(HealthCheckSpec, active=check), Faults())
    assert found is not None
    assert found.active is not None
    assert found.active.http == HttpCheck(path="/up", method="GET", expected_statuses=(200,), expected_response=Payload(text="ok"))


def test_a_check_needs_the_field_of_its_type() -> None:
    faults = Faults()
    found = health_check.translate(spec(HealthCheckSpec, active={"type": "TCP", "http": {"path": "/"}}), faults)
    assert found is not None
    assert found.active is None
    assert len(faults.texts) == 1
    assert health_check.translate(spec(HealthCheckSpec, active={"type": "GRPC"}), Faults()) is not None


@pytest.mark.parametrize(
    ("hashed", "found"),
    [
        ({"type": "SourceIP", "tableSize": 11}, ConsistentHash(source_ip=True, table_size=11)),
        ({"type": "Header", "header": {"name": "x"}}, ConsistentHash(headers=(Named(name="x"),))),
        ({"type": "Headers", "headers": [{"name": "x"}, {"name": "y"}]}, ConsistentHash(headers=(Named(name="x"), Named(name="y")))),
        ({"type": "QueryParams", "queryParams": [{"name": "q"}]}, ConsistentHash(query_params=(Named(name="q"),))),
        ({"type": "SourceIP", "tableSize": 1024}, None),
        ({"type": "SourceIP", "tableSize": 5000077}, None),
        ({"type": "Header"}, None),
    ],
)
def test_hashes_of_a_request(hashed: dict[str, Any], found: ConsistentHash | None) -> None:
    faults = Faults()
    made = load_balancer.translate(spec(LoadBalancerSpec, type="ConsistentHash", consistentHash=hashed), faults)
    assert made == (LoadBalancer(consistent_hash=found) if found is not None else None)
    assert bool(faults.texts) is (found is None)


def test_a_balancer_that_is_not_supported_says_so() -> None:
    faults = Faults()
    assert load_balancer.translate(spec(LoadBalancerSpec, type="DynamicModule", dynamicModule={"name": "m"}), faults) is None
    assert faults.texts == ["LoadBalancer: type DynamicModule is not supported"]


def test_zones_and_overrides_go_with_every_balancer() -> None:
    more = {"zoneAware": {"weightedZones": [{"zone": "a", "weight": 3}]}, "endpointOverride": {"extractFrom": [{"header": "x-to"}]}}
    found = load_balancer.translate(spec(LoadBalancerSpec, type="Random", **more), Faults())
    assert found is not None
    assert [(z.zone, z.weight) for z in found.weighted_zones] == [("a", 3)]
    assert found.endpoint_override is not None


@pytest.mark.parametrize(
    ("value", "unit", "rate"), [("1Mi", "Second", 1024), ("60Ki", "Minute", 1), (1023, "Second", None), ("1Ki", "Hour", None)]
)
def test_bandwidth_is_counted_in_kib_a_second(value: str | int, unit: str, rate: int | None) -> None:
    faults = Faults()
    limit = {"limit": {"value": value, "unit": unit}, "responseTrailers": {"prefix": "x-"}}
    found = bandwidth_limit.translate(spec(BandwidthLimitSpec, response=limit), faults)
    trailers = ResponseTrailers(prefix="x-")
    assert found == BandwidthLimit(response=Bandwidth(limit_kibps=rate, response_trailers=trailers) if rate is not None else None)
    assert bool(faults.texts) is (rate is None)


def test_faults_hit_every_request_unless_they_say_how_many() -> None:
    found = fault_injection.translate(
        spec(FaultInjectionSpec, delay={"fixedDelay": "5.4s"}, abort={"grpcStatus": 14, "percentage": 0.5}), Faults()
    )
    assert found is not None
    assert found.delay == FaultDelay(fixed_delay="5.4s", percentage=100)
    assert found.abort == FaultAbort(grpc_status=14, percentage=0.5)


def test_a_compressor_counts_whose_own_field_is_set() -> None:
    newer = (spec(CompressionSpec, type="Gzip"), spec(CompressionSpec, type="Brotli", brotli={}, minContentLength="1Ki"))
    older = (spec(CompressionSpec, type="Zstd"),)
    assert compression.translate(newer, older, Faults()) == (Compression(type="Brotli", min_content_length=1024),)
    assert compression.translate((), older, Faults()) == (Compression(type="Zstd", choose_first=True),)


def test_nothing_is_upgraded_that_is_held_back() -> None:
    faults = Faults()
    request_buffer.translate(spec(RequestBufferSpec, limit="4Mi"), True, faults)
    assert faults.texts == ["RequestBuffer: requestBuffer cannot be used together with httpUpgrade"]


def test_a_body_that_is_not_there_is_told_and_headers_cannot_be_removed() -> None:
    faults = Faults()
    response = {
        "body": {"type": "ValueRef"},
        "header": {"remove": ["x"], "add": [{"name": "a", "value": "1"}], "set": [{"name": "b", "value": "2"}]},
    }
    specs = (spec(ResponseOverrideSpec, match={"statusCodes": [{"value": 404}]}, response=response),)
    found = response_override.translate(specs, "backendtrafficpolicy/d/p", lambda _: (b"", "no such body"), faults)
    assert found is not None
    rule = found.rules[0]
    assert rule.name == "backendtrafficpolicy/d/p/responseoverride/rule/0"
    assert rule.response is not None
    assert [(h.name, h.append) for h in rule.response.add_response_headers] == [("a", True), ("b", False)]
    assert faults.texts == ["ResponseOverride: no such body", "ResponseOverride: Remove is not supported for header in CustomResponse"]


@pytest.mark.parametrize(
    ("pattern", "sound"), [("%ROUTE_NAME%/%ROUTE_RULE_NAME%", True), ("plain", True), ("%ROUTE_RULE_NUMBER%", False), ("50%", False)]
)
def test_names_of_statistics_hold_known_operators_alone(pattern: str, sound: bool) -> None:
    faults = Faults()
    telemetry.translate(spec(BackendTelemetrySpec, metrics={"routeStatName": pattern}), faults)
    assert (not faults.texts) is sound


def test_what_envoy_reads_as_format_strings_is_read_before() -> None:
    faults = Faults()
    tracing = {"spanName": {"client": "%REQ(X-A)%", "server": "%REQ("}, "tags": {"a": "50%"}}
    telemetry.translate(spec(BackendTelemetrySpec, tracing=tracing), faults)
    response = {"header": {"set": [{"name": "b", "value": "100%"}]}}
    match = {"responseHeaders": [{"name": "x", "value": {"type": "RegularExpression", "value": "*"}}]}
    specs = (spec(ResponseOverrideSpec, match=match, response=response),)
    response_override.translate(specs, "backendtrafficpolicy/d/p", lambda _: (b"", None), faults)
    assert [text.partition(":")[0] for text in faults.texts] == ["Telemetry", "Telemetry", "ResponseOverride", "ResponseOverride"]
