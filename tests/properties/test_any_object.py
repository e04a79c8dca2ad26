"""One object of any kind, valid or not: nothing crashes, nothing else changes, and what is rendered is what Envoy would take."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as Any_
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.xds_server.render import checks
from services.xds_server.render.types import MESSAGES
from services.xds_server.store import GatewayStore
from tests.properties import schemas
from tests.properties.world import STEADY, E, G, World, made

pytestmark = [
    pytest.mark.skipif(not schemas.CRDS.exists(), reason="the custom resources' schemas are not beside the project"),
    pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning"),
    pytest.mark.timeout(300),
]

KINDS = (
    *((G, kind) for kind in ("Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ListenerSet", "BackendTLSPolicy")),
    *((E, kind) for kind in ("EnvoyProxy", "Backend", "HTTPRouteFilter")),
    *((E, f"{kind}Policy") for kind in ("BackendTraffic", "ClientTraffic", "Security", "EnvoyExtension", "EnvoyPatch")),
)


def towards_us(kind: str, spec: Any) -> Any:
    """Most of what is thrown is to hit: it names our Gateway."""
    if not isinstance(spec, dict):
        return spec
    if kind.endswith("Route"):
        return {**spec, "parentRefs": [{"name": "gw"}]}
    if kind == "ListenerSet":
        return {**spec, "parentRef": {"name": "gw"}}
    if kind == "BackendTLSPolicy":
        return {**spec, "targetRefs": [{"group": "", "kind": "Service", "name": "svc"}]}
    if kind == "Gateway":
        return {**spec, "gatewayClassName": "eg"}
    if kind in ("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy"):
        reference = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}
        return {**spec, "targetRef": reference} if kind == "EnvoyPatchPolicy" else {**spec, "targetRefs": [reference]}
    return spec


@pytest.mark.parametrize(("api", "kind"), KINDS, ids=[kind for _, kind in KINDS])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_it_costs_itself_at_most(api: str, kind: str, data: st.DataObject) -> None:
    spec = towards_us(kind, data.draw(schemas.specs(api.partition("/")[0], kind)))
    thrown = made(api, kind, "default", "x", spec=spec)
    world = _world()
    before = {fleet: dict(shards) for fleet, shards in world.shards.items()}
    try:
        outputs = world.throw(thrown)
        assert world.translator.failures() == {}
        assert STEADY not in outputs.shards
        assert STEADY not in outputs.infra
        for shards in world.shards.values():
            _rendered(shards)
    finally:
        world.take_back(thrown)
    assert world.shards == before


_WORLDS: list[World] = []


def _world() -> World:
    """One for all examples: what is thrown is taken back, and the test sees that nothing stays."""
    if not _WORLDS:
        _WORLDS.append(World())
    return _WORLDS[0]


def _rendered(shards: dict[str, bytes]) -> None:
    store = GatewayStore(base64.b64decode)
    store.apply(1, shards)
    for type_url, resources in store.snapshot().items():
        for name, resource in resources.items():
            fault = checks.found(MESSAGES[type_url], Any_.FromString(resource.any_bytes).value)
            assert fault is None, f"{name}: {fault}"
