"""Extension servers in the configuration: Envoy Gateway's own files are read, and a fault is told with its path."""

from __future__ import annotations

import pytest

from services.xds_server.hooks.client import service_config
from shared.core.kinds import KINDS
from shared.runtime.load import ConfigError, parse

WHOLE = """
extensionManager:
  resources: [{group: example.io, version: v1, kind: Filter}]
  policyResources: [{group: example.io, version: v1alpha1, kind: Policy}]
  backendResources: [{group: storage.io, version: v1, kind: Bucket}]
  hooks:
    xdsTranslator:
      post: [Route, VirtualHost, HTTPListener, Cluster, Endpoints, Translation]
      translation: {listener: {includeAll: true}, secret: {includeAll: false}}
  service:
    fqdn: {hostname: ext.example.io, port: 5005}
    tls: {certificateRef: {name: ca}, clientCertificateRef: {name: client, namespace: other}}
    retry:
      maxAttempts: 3
      initialBackoff: 50ms
      maxBackoff: 2s
      backoffMultiplier: {numerator: 150}
      RetryableStatusCodes: [UNAVAILABLE, RESOURCE_EXHAUSTED]
  failOpen: true
  maxMessageSize: 25M
"""
GOOD = "hooks: {xdsTranslator: {post: [Route]}}, service: {ip: {address: 127.0.0.1, port: 5005}}"


def test_every_field_is_read() -> None:
    config = parse(WHOLE)
    (manager,) = config.managers
    assert manager.label == "extension"
    assert manager.asked >= {"Route", "Translation"}
    assert manager.largest == 25_000_000
    assert {w for w in ("listener", "route", "cluster", "secret") if manager.includes(w)} == {"listener", "cluster"}
    assert manager.service is not None
    assert manager.service.address == "ext.example.io:5005"
    assert manager.fail_open


def test_kinds_of_servers_are_known_beside_our_own() -> None:
    kinds = parse(WHOLE).kinds
    assert kinds["example.io", "Policy"].version == "v1alpha1"
    assert kinds["storage.io", "Bucket"].namespaced
    assert kinds.keys() >= KINDS.keys()
    assert parse("").kinds == KINDS


@pytest.mark.parametrize(
    ("service", "address"),
    [
        ("unix: {path: /run/ext.sock}", "unix:///run/ext.sock"),
        ("ip: {address: '::1', port: 1}", "[::1]:1"),
        ("host: ext", "ext:80"),
        ("fqdn: {hostname: a.b, port: 9}", "a.b:9"),
        ("ip: {address: 10.0.0.1, port: 9}, hostname: a.b", "10.0.0.1:9"),
        ("host: a, hostname: b, port: 9", "b:9"),
    ],
)
def test_where_a_server_is(service: str, address: str) -> None:
    (manager,) = parse(f"extensionManager: {{hooks: {{xdsTranslator: {{post: [Route]}}}}, service: {{{service}}}}}").managers
    assert manager.service is not None
    assert manager.service.address == address


def test_several_servers_keep_their_order() -> None:
    assert [m.label for m in parse(f"extensionManagers: [{{name: b, {GOOD}}}, {{name: a, {GOOD}}}]").managers] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"{{extensionManager: {{{GOOD}}}, extensionManagers: [{{name: a, {GOOD}}}]}}", "extensionManagers: not expected beside"),
        ("extensionManagers: []", "extensionManagers: expected at least one entry"),
        (f"extensionManagers: [{{{GOOD}}}]", "extensionManagers[0].name"),
        (f"extensionManagers: [{{name: a, {GOOD}}}, {{name: a, {GOOD}}}]", "extensionManagers[1].name: 'a' stands twice"),
        ("extensionManager: {service: {host: x}}", "extensionManager.hooks.xdsTranslator"),
        ("extensionManager: {hooks: {xdsTranslator: {post: [Route]}}}", "extensionManager.service"),
        ("extensionManager: {hooks: {xdsTranslator: {post: [Rout]}}}", "extensionManager.hooks.xdsTranslator.post[0]"),
        (f"extensionManager: {{{GOOD}, maxMessageSize: 0}}", "extensionManager.maxMessageSize"),
        (f"extensionManager: {{{GOOD}, maxMessageSize: many}}", "extensionManager.maxMessageSize"),
        (f"extensionManager: {{{GOOD}, timeout: soon}}", "extensionManager.timeout"),
        (f"extensionManager: {{{GOOD}, speed: 1}}", "extensionManager.speed: unknown field"),
        (
            f"extensionManager: {{{GOOD}, resources: [{{group: gateway.networking.k8s.io, version: v1, kind: HTTPRoute}}]}}",
            "extensionManager.resources[0]: HTTPRoute of gateway.networking.k8s.io belongs to Headgate",
        ),
        (
            "extensionManager: {hooks: {xdsTranslator: {post: [Route]}}, service: {host: x, unix: {path: y}}}",
            "extensionManager.service: expected exactly one of",
        ),
        (
            "extensionManager: {hooks: {xdsTranslator: {post: [Route]}}, service: {host: x, retry: {maxAttempts: 0}}}",
            "extensionManager.service.retry.maxAttempts",
        ),
        (
            "extensionManager: {hooks: {xdsTranslator: {post: [Route]}}, service: {host: x, "
            "tls: {certificateRef: {name: a, kind: ConfigMap}}}}",
            "extensionManager.service.tls.certificateRef",
        ),
    ],
)
def test_a_fault_is_told_with_its_path(text: str, path: str) -> None:
    with pytest.raises(ConfigError) as e:
        parse(text)
    assert path in str(e.value)


def test_what_envoy_gateway_leaves_to_grpc_is_no_fault() -> None:
    """It passes any number of attempts on; gRPC makes no more than five."""
    (manager,) = parse(f"extensionManager: {{{GOOD[:-1]}, retry: {{maxAttempts: 9}}}}}}").managers
    assert manager.service is not None
    assert manager.service.retry is not None
    assert service_config(manager.service.retry)["methodConfig"][0]["retryPolicy"]["maxAttempts"] == 5


def test_retries_have_envoy_gateways_defaults() -> None:
    assert service_config(None)["methodConfig"][0]["retryPolicy"] == {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2.0,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    (manager,) = parse(WHOLE).managers
    assert manager.service is not None
    assert service_config(manager.service.retry)["methodConfig"][0]["retryPolicy"] == {
        "maxAttempts": 3,
        "initialBackoff": "0.05s",
        "maxBackoff": "2s",
        "backoffMultiplier": 1.5,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
