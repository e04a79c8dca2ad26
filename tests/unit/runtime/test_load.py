"""A wrong configuration stops the start with the field's path and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.bus.settings import BusSettings
from shared.runtime.config import CONTROLLER_NAME, EnvoyGateway
from shared.runtime.load import ConfigError, load, parse
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart, sealer

FILE = "{provider: {type: Custom, custom: {resource: {type: File, file: {paths: [x]}}, infrastructure: {type: Host}}}}"


def test_defaults_without_a_file() -> None:
    config = load(None)
    assert config.gateway.controller_name == CONTROLLER_NAME
    assert config.provider.type == "Kubernetes"
    assert parse("") == config


def test_envoy_gateways_own_file_is_read() -> None:
    config = parse(
        """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: example.com/mine}
provider:
  type: Kubernetes
  kubernetes:
    watch: {type: Namespaces, namespaces: [a, b]}
    rateLimitDeployment: {container: {image: x}}
    deploy: {type: GatewayNamespace}
logging: {level: {default: debug, xds-server: warn}}
extensionApis: {enableEnvoyPatchPolicy: true, enableBackend: true}
rateLimit: {backend: {type: Redis, redis: {url: "redis:6379"}}}
xdsServer: {maxConnectionAge: 10h}
bus: {urls: ["nats://nats:4222"]}
"""
    )
    assert config.gateway.controller_name == "example.com/mine"
    assert config.provider.kubernetes is not None
    assert config.provider.kubernetes.watch is not None
    assert config.provider.kubernetes.watch.namespaces == ("a", "b")
    assert config.bus.urls == ("nats://nats:4222",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{kind: Gateway}", r"kind: invalid enum value 'Gateway'"),
        ("{nope: 1}", r"nope: unknown field; expected one of: admin, .*bus.*"),
        ("{provider: {type: Kubernetes, kubernetes: {wach: {}}}}", r"provider\.kubernetes\.wach: unknown field; expected one of: .*watch"),
        ("{provider: {type: Docker}}", r"provider\.type: invalid enum value 'Docker'"),
        ("{gateway: {controllerName: 3}}", r"gateway\.controllerName: expected `str`, got `int`"),
        ("{gateway: {controllerName: ''}}", r"gateway\.controllerName: expected a name"),
        ("{provider: {type: Custom}}", r"provider\.custom: expected a section"),
        ("{bus: {urls: 3}}", r"bus\.urls: expected `array`, got `int`"),
        ("{bus: {url: x}}", r"bus\.url: unknown field; expected one of: .*urls"),
        ("{xdsServer: {maxConnectionAge: soon}}", r"xdsServer\.maxConnectionAge: .*'soon' \(expected for instance 10s"),
        ("[1]", r"\(top\): expected `object`, got `array`"),
        ("{a: [", "not valid YAML"),
        (FILE.replace("paths: [x]", "paths: []"), r"provider\.custom\.resource\.file\.paths: expected at least one"),
    ],
)
def test_what_is_wrong_is_named(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        load(tmp_path / "gone.yaml")


@pytest.mark.parametrize("files", [(), ("/nowhere/key",)], ids=["none", "missing"])
def test_without_a_key_for_secrets_nothing_starts(files: tuple[str, ...]) -> None:
    settings = Settings(service="translator", config=EnvoyGateway(bus=BusSettings(sealing_key_files=files)))
    with pytest.raises(CannotStart, match=r"bus\.sealingKeyFiles: (expected at least one|/nowhere/key)"):
        sealer(settings)
