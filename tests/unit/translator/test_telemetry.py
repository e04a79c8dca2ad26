"""What an EnvoyProxy asks of logs, traces and statistics, and what is said where it cannot be had."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.ir.telemetry import FilterPosition, HealthCheckLog, HealthCheckLogFile
from tests.unit.translator.build import ENVOY, FLEET, Object, World, endpoints, gateway, gateway_class, made, quickstart, route, service
from tests.unit.translator.test_incremental import evaluated

BACKENDS = {"backendRefs": [{"name": "collector", "port": 80}]}


def proxied(telemetry: Object, *more: Object, **spec: Any) -> World:
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "p", {"telemetry": telemetry, **spec})
    reference = {"parametersRef": {"group": ENVOY, "kind": "EnvoyProxy", "name": "p"}}
    collector = (service("collector"), endpoints("collector", "10.9.9.9"))
    return World(gateway_class(), proxy, gateway(infrastructure=reference), *quickstart()[2:], *collector, *more)


def logs(*sinks: Object, **setting: Any) -> Object:
    return {"accessLog": {"settings": [{"sinks": list(sinks), **setting}]}}


def test_an_access_log_service() -> None:
    found = proxied(logs({"type": "ALS", "als": {"type": "TCP", **BACKENDS}}, type="Route")).ir().access_log
    assert found is not None
    (log,) = found.als
    (setting,) = log.destination.settings
    assert (log.name, log.type, log.log_type, setting.protocol) == ("default/p", "TCP", "Route", "GRPC")
    assert [(e.host, e.port) for e in setting.endpoints] == [("10.9.9.9", 8080)]


def test_open_telemetry_takes_text_and_attributes_together() -> None:
    sink = {"type": "OpenTelemetry", "openTelemetry": {"host": "otel.example.com", "resources": {"a": "b"}}}
    found = proxied(logs(sink, format={"text": "x", "json": {"k": "v"}})).ir().access_log
    assert found is not None
    (log,) = found.open_telemetry
    assert (log.text, [(a.key, a.value) for a in log.attributes], log.authority) == ("x", [("k", "v")], "otel.example.com")
    assert [(s.address_type, s.endpoints[0].port) for s in log.destination.settings] == [("FQDN", 4317)]


def test_tracing() -> None:
    tracing = {
        "provider": {"type": "Zipkin", "zipkin": {"enable128BitTraceId": True}, **BACKENDS},
        "samplingFraction": {"numerator": 1, "denominator": 1000},
        "customTags": {"b": {"type": "Environment", "environment": {"name": "E"}}, "a": {"type": "Literal", "literal": {"value": "1"}}},
    }
    found = proxied({"tracing": tracing}).ir().tracing
    assert found is not None
    assert (found.service_name, found.sampling_rate, found.provider["type"]) == ("eg.default", 0.1, "Zipkin")
    assert found.authority == "collector.default.svc"
    assert [t.key for t in found.custom_tags] == ["a", "b"]
    assert found.destination.settings[0].protocol == "TCP"


def test_metric_sinks_are_part_of_the_fleet_once_an_address() -> None:
    sink = {"type": "OpenTelemetry", "openTelemetry": {**BACKENDS, "reportCountersAsDeltas": True}}
    world = proxied({"metrics": {"sinks": [sink, sink]}})
    (only,) = json.loads(world.infra[FLEET])["proxy"]["resolvedMetricSinks"]
    assert (only["authority"], only["reportCountersAsDeltas"]) == ("collector.default.svc", True)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, HealthCheckLog(always_log_health_check_failures=True, always_log_health_check_success=True, file_sinks=(HealthCheckLogFile(path="/dev/stdout"),))),  # noqa: E501
        ({"matches": ["Failure"], "sinks": [{"type": "File", "file": {"path": "/x"}}]}, HealthCheckLog(always_log_health_check_failures=True, file_sinks=(HealthCheckLogFile(path="/x"),))),  # noqa: E501
        ({"matches": ["HealthyTransition"]}, HealthCheckLog(file_sinks=(HealthCheckLogFile(path="/dev/stdout"),))),
    ],
)  # fmt: skip
def test_health_check_log(spec: Object, expected: HealthCheckLog) -> None:
    assert proxied({"healthCheckLog": spec}).ir().health_check_log == expected


def test_request_ids_and_filter_order() -> None:
    ir = proxied({"requestID": {"tracing": "Pack"}}, filterOrder=[{"name": "a", "before": "b"}]).ir()
    assert ir.http[0].request_id == "Pack"
    assert ir.filter_order == (FilterPosition(name="a", before="b"),)


@pytest.mark.parametrize(
    "telemetry",
    [
        {"tracing": {"provider": {"backendRefs": [{"name": "none", "port": 80}]}}},
        {"metrics": {"sinks": [{"openTelemetry": {"backendRefs": [{"name": "none", "port": 80}]}}]}},
        logs({"type": "ALS", "als": {"type": "HTTP", "backendRefs": [{"name": "x", "kind": "Pod"}]}}),
        logs({"type": "File", "file": {"path": "/x"}}, matches=[")++++"]),
    ],
)
def test_what_cannot_be_had_is_told_to_the_gateway_which_serves_on(telemetry: Object) -> None:
    world = proxied(telemetry)
    assert world.condition(gateway(), "Accepted") == ("False", "InvalidParameters")
    assert world.condition(route(), "Accepted") == ("True", "Accepted")
    assert len(world.ir().http[0].routes) == 1


def test_settings_of_collectors_without_effect_are_named() -> None:
    world = proxied({"metrics": {"sinks": [{"openTelemetry": {**BACKENDS, "backendSettings": {}}}]}})
    (ancestor,) = world.status(made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "p", {}))["ancestors"]
    assert "spec.telemetry.metrics.sinks[0].openTelemetry.backendSettings" in ancestor["conditions"][1]["message"]


def test_how_a_collector_is_spoken_to() -> None:
    asked = {"timeout": {"tcp": {"connectTimeout": "3s"}}}
    tracing = proxied({"tracing": {"provider": {**BACKENDS, "backendSettings": asked}}}).ir().tracing
    assert tracing is not None
    assert tracing.traffic is not None
    assert tracing.traffic.timeout is not None
    assert tracing.traffic.timeout.tcp is not None
    assert tracing.traffic.timeout.tcp.connect_timeout == "3s"
    wrong = proxied({"tracing": {"provider": {**BACKENDS, "backendSettings": {"timeout": {"tcp": {"connectTimeout": "soon"}}}}}})
    assert wrong.condition(gateway(), "Accepted") == ("False", "InvalidParameters")


def test_a_collectors_addresses_disturb_no_route() -> None:
    world = proxied(logs({"type": "ALS", "als": {"type": "TCP", **BACKENDS}}), *(route(f"r{i}", f"/{i}") for i in range(50)))
    cost = evaluated(world, lambda: world.put(endpoints("collector", "10.9.9.8")))
    assert list(world.last.shards[FLEET]) == ["gateway"]
    assert "rules" not in cost
    assert "attachments" not in cost
