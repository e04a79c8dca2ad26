"""Routes, policies and what they refer to, valid and not, as a real Envoy takes them: it never has a reason to refuse anything."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from services.xds_server import metrics
from services.xds_server.server import XdsServer
from services.xds_server.settings import XdsSettings
from shared.core.refs import GatewayRef
from shared.testing.envoy import running_envoy
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.properties import schemas
from tests.properties.test_any_object import KINDS, towards_us
from tests.properties.world import PORTS, World, made

pytestmark = [
    pytest.mark.skipif(not schemas.CRDS.exists(), reason="the custom resources' schemas are not beside the project"),
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
    pytest.mark.timeout(300),
]

GATEWAY = GatewayRef("default", "gw")
EACH = 12
# an EnvoyProxy is no configuration over xDS; Gateways and ListenerSets bring ports that may be taken here
ELSEWHERE = ("EnvoyProxy", "Gateway", "ListenerSet")
KINDS_HERE = [(api, kind) for api, kind in KINDS if kind not in ELSEWHERE]


def examples(api: str, kind: str) -> list[Any]:
    """Some objects of a kind, the same in every run."""
    found: list[Any] = []

    @settings(max_examples=EACH, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(spec=schemas.specs(api.partition("/")[0], kind))
    def gather(spec: Any) -> None:
        found.append(made(api, kind, "default", "x", spec=towards_us(kind, spec)))

    gather()
    return found


def refusals() -> float:
    """How often an Envoy has refused anything so far."""
    return sum(sample.value for each in metrics.NACKS.collect() for sample in each.samples if sample.name.endswith("_total"))


async def test_envoy_accepts_whatever_comes_of_an_object() -> None:
    world = World({name: free_port() for name in PORTS}, on_host=True)
    server = XdsServer(XdsSettings(), base64.b64decode)
    port = await server.start("127.0.0.1:0")
    version = 1
    server.update(GATEWAY, version, "test", world.shards[GATEWAY], full=True)

    async def told(changed: dict[str, bytes | None], thrown: Any) -> None:
        nonlocal version
        if not changed:
            return
        version += 1
        before = refusals()
        server.update(GATEWAY, version, "test", changed, full=False)
        try:
            await until(lambda: set(server.status(GATEWAY).proxies.values()) == {version}, 20)
            assert refusals() == before, "what Envoy would refuse is found before it gets there"
        except AssertionError as e:
            raise AssertionError(f"{thrown['kind']}: {thrown['spec']}\n{server.status(GATEWAY)}") from e

    try:
        async with running_envoy(port, cluster=str(GATEWAY)) as envoy:
            await envoy.wait_live()
            count = 0
            for thrown in (each for at in KINDS_HERE for each in examples(*at)):
                outputs = world.throw(thrown)
                count += bool(outputs.shards.get(GATEWAY))
                await told(outputs.shards.get(GATEWAY, {}), thrown)
                await told(world.take_back(thrown).shards.get(GATEWAY, {}), thrown)
            assert count > len(KINDS_HERE), "most of them are to reach Envoy"
    finally:
        await server.stop(0)
