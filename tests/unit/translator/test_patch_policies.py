"""EnvoyPatchPolicies: whom they may patch, what crosses the bus, and what they are told of its outcome."""

from __future__ import annotations

from typing import Any

from shared.core.refs import GatewayRef
from shared.ir.status import PatchReport, Rejection, XdsStatus
from tests.unit.translator.build import ENVOY, FLEET, Object, World, gateway, gateway_class, made, quickstart

LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
OPERATION = {"op": "replace", "path": "/per_connection_buffer_limit_bytes", "value": 1}


def policy(name: str = "patch", target: str = "eg", kind: str = "Gateway", namespace: str = "default", **spec: Any) -> Object:
    ref = {"group": "gateway.networking.k8s.io", "kind": kind, "name": target}
    patches = [{"type": LISTENER, "name": "default/eg/http", "operation": OPERATION}]
    whole = {"type": "JSONPatch", "targetRef": ref, "jsonPatches": patches, **spec}
    return made(f"{ENVOY}/v1alpha1", "EnvoyPatchPolicy", name, whole, namespace=namespace)


def merging() -> tuple[Object, ...]:
    parameters = {"group": ENVOY, "kind": "EnvoyProxy", "name": "proxy", "namespace": "default"}
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "proxy", {"mergeGateways": True})
    return gateway_class(parametersRef=parameters), proxy, gateway()


def reported(world: World, **status: Any) -> None:
    world.translator.apply_xds_status(FLEET, "replica", XdsStatus(**status))
    world.put()


def test_one_shard_a_policy_in_the_order_of_priorities() -> None:
    world = World(*quickstart(), policy("a", priority=3), policy("b", priority=-3), envoy_patch_policy=True)
    assert [p.name for p in world.ir().envoy_patch_policies] == ["b", "a"]
    assert world.condition(policy("a"), "Accepted") == ("True", "Accepted")
    outputs = world.put(policy("a", priority=-9))
    assert list(outputs.shards[FLEET]) == ["policy.EnvoyPatchPolicy.default.a"]


def test_patches_are_off_unless_they_are_switched_on() -> None:
    world = World(*quickstart(), policy())
    assert world.condition(policy(), "Accepted") == ("False", "Disabled")
    assert world.ir().envoy_patch_policies[0].json_patches == ()


def test_only_gateways_of_the_own_namespace_can_be_patched() -> None:
    far = policy(namespace="far")
    world = World(*quickstart(), far, policy("class", kind="GatewayClass"), envoy_patch_policy=True)
    assert not any(ref.name == "patch" for ref, _ in world.statuses)
    assert world.condition(policy("class"), "Accepted") == ("False", "Invalid")


def test_merged_gateways_are_patched_through_their_class() -> None:
    world = World(*merging(), policy(kind="GatewayClass"), policy("wrong"), envoy_patch_policy=True)
    assert [len(p.json_patches) for p in world.ir(GatewayRef("", "eg")).envoy_patch_policies][:1] == [1]
    assert world.condition(policy(), "Accepted", "") == ("True", "Accepted")
    (ancestor,) = world.status(policy(), "")["ancestors"]
    assert ancestor["ancestorRef"]["kind"] == "GatewayClass"
    assert world.condition(policy("wrong"), "Accepted", "") == ("False", "Invalid")


def test_what_became_of_a_policy_is_told_for_its_own_generation() -> None:
    world = World(*quickstart(), policy(), envoy_patch_policy=True)

    def programmed() -> tuple[str, str] | None:
        (ancestor,) = world.status(policy())["ancestors"]
        return next(((c["status"], c["reason"]) for c in ancestor["conditions"] if c["type"] == "Programmed"), None)

    assert programmed() is None
    reported(world, patches={"default/patch": PatchReport(generation=0, faults=("old",))})
    assert programmed() is None
    reported(world, patches={"default/patch": PatchReport(generation=1)})
    assert programmed() == ("True", "Programmed")
    reported(world, patches={"default/patch": PatchReport(generation=1, faults=("no such field",))})
    assert programmed() == ("False", "Invalid")
    reported(world, patches={"default/patch": PatchReport(generation=1, missing=("a listener",))})
    assert programmed() == ("False", "ResourceNotFound")
    blamed = f"{ENVOY}/EnvoyPatchPolicy/default/patch"
    rejection = Rejection(type_url=LISTENER, resource="x", detail="no", objects=(blamed,))
    reported(world, patches={"default/patch": PatchReport(generation=1)}, rejections=(rejection,))
    assert programmed() == ("False", "Invalid")
