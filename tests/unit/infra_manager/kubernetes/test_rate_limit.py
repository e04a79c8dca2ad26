"""The rate limit service's objects, from the static configuration."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from services.infra_manager.providers.kubernetes.infrastructure import rate_limit_asked
from services.infra_manager.providers.kubernetes.render import rate_limit
from shared.runtime.config import EnvoyGateway, KubernetesProvider, Provider, RateLimitSection
from shared.runtime.settings import Settings
from tests.unit.infra_manager.kubernetes.fleets import JSON, OPTIONS

REDIS = {"type": "Redis", "redis": {"url": "redis.example:6379"}}


def objects(section: RateLimitSection, **kubernetes: Any) -> dict[str, JSON]:
    provider = Provider(type="Kubernetes", kubernetes=KubernetesProvider(**kubernetes))
    asked = rate_limit_asked(Settings(service="infra-manager", config=EnvoyGateway(rate_limit=section, provider=provider)))
    assert asked is not None
    return {m.ref.kind: m.body() for m in rate_limit.render(asked, OPTIONS).manifests}


def container(section: RateLimitSection, **kubernetes: Any) -> JSON:
    (found,) = objects(section, **kubernetes)["Deployment"]["spec"]["template"]["spec"]["containers"]
    made: JSON = found
    return made


def variables(section: RateLimitSection) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(section)["env"]}


def test_names_are_those_that_proxies_know() -> None:
    found = objects(RateLimitSection(backend=REDIS))
    assert {k: o["metadata"]["name"] for k, o in found.items()} == {
        "ServiceAccount": "envoy-ratelimit",
        "Deployment": "envoy-ratelimit",
        "Service": "envoy-ratelimit",
        "ConfigMap": "statsd-exporter-config",
    }
    assert {o["metadata"]["namespace"] for o in found.values()} == {"envoy-gateway-system"}
    assert [p["port"] for p in found["Service"]["spec"]["ports"]] == [8081, 19001]
    assert found["Service"]["spec"]["selector"] == found["Deployment"]["spec"]["selector"]["matchLabels"]


def test_it_is_told_by_the_control_plane_and_shows_its_certificate() -> None:
    found = variables(RateLimitSection(backend=REDIS, config_port=18005))
    assert found["CONFIG_GRPC_XDS_SERVER_URL"] == "envoy-gateway:18005"
    assert found["REDIS_URL"] == "redis.example:6379"
    assert found["GRPC_SERVER_TLS_CERT"] == "/certs/tls.crt"
    assert "REDIS_TLS" not in found
    volumes = objects(RateLimitSection(backend=REDIS))["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["secret"]["secretName"] == "envoy-rate-limit"


def test_redis_by_secret_with_tls() -> None:
    secret = {"name": "s", "key": "url"}
    redis = {"urlRef": {"secretKeyRef": secret}, "tls": {"certificateRef": {"name": "client"}}}
    section = RateLimitSection(backend={"type": "Redis", "redis": redis})
    found = variables(section)
    assert found["REDIS_URL"] == {"secretKeyRef": secret}
    assert (found["REDIS_TLS"], found["REDIS_TLS_CLIENT_KEY"]) == ("true", "/redis-certs/tls.key")
    assert "redis-certs" in {m["name"] for m in container(section)["volumeMounts"]}


@pytest.mark.parametrize(("url", "endpoint"), [("otel:4318", "http://otel:4318"), ("http://otel:4318", "http://otel:4318")])
def test_telemetry(url: str, endpoint: str) -> None:
    tracing = {"samplingRate": 50, "provider": {"url": url}}
    section = RateLimitSection(backend=REDIS, telemetry={"tracing": tracing, "metrics": {"prometheus": {"disable": True}}})
    found = variables(section)
    assert (found["TRACING_SAMPLING_RATE"], found["OTEL_EXPORTER_OTLP_ENDPOINT"]) == ("0.5", endpoint)
    assert "USE_PROMETHEUS" not in found
    made = objects(section)
    assert "ConfigMap" not in made
    assert "annotations" not in made["Deployment"]["spec"]["template"]["metadata"]


def test_the_deployment_can_be_changed_and_scaled() -> None:
    asked = {
        "replicas": 3,
        "pod": {"labels": {"l": "1"}, "nodeSelector": {"n": "1"}},
        "container": {"image": "mine:1", "env": [{"name": "LOG_LEVEL", "value": "debug"}]},
        "patch": {"value": {"spec": {"minReadySeconds": 3}}},
    }
    found = objects(RateLimitSection(backend=REDIS), rate_limit_deployment=asked, rate_limit_hpa={"maxReplicas": 4}, rate_limit_pdb={})
    spec = found["Deployment"]["spec"]
    assert spec["minReadySeconds"] == 3
    assert "replicas" not in spec
    assert spec["template"]["spec"]["nodeSelector"] == {"n": "1"}
    (made,) = spec["template"]["spec"]["containers"]
    assert made["image"] == "mine:1"
    assert {"name": "LOG_LEVEL", "value": "debug"} in made["env"]
    assert found["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] == 4
    assert found["PodDisruptionBudget"]["spec"]["minAvailable"] == 0


def test_a_service_elsewhere_is_not_run() -> None:
    config = EnvoyGateway(rate_limit=RateLimitSection(url="grpc://elsewhere:8081"))
    assert rate_limit_asked(Settings(service="infra-manager", config=config)) is None
    assert rate_limit_asked(Settings(service="infra-manager")) is None


def test_statistics_have_names() -> None:
    (text,) = objects(RateLimitSection(backend=REDIS))["ConfigMap"]["data"].values()
    rules = yaml.safe_load(text)["mappings"]
    assert len({(r["match"], r["name"]) for r in rules}) == len(rules) == 15
