"""When nothing is to be written, what belongs to whom, and what a fleet's status is."""

from __future__ import annotations

from typing import Any

import pytest

from services.infra_manager.providers.kubernetes.compare import contains, fingerprint, keeping_selector, stands, taken_over
from services.infra_manager.providers.kubernetes.observed import node_addresses, status
from services.infra_manager.providers.kubernetes.places import Places
from services.infra_manager.providers.kubernetes.render.plan import DIGEST, Plan
from shared.core.refs import ObjectRef
from shared.ir.status import InfraStatus


@pytest.mark.parametrize(
    ("live", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}]}, False),
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"cpu": "1"}, {"cpu": "100m"}, False),
        ({}, {"a": {}, "b": [], "c": None, "d": ""}, True),
        ({}, {"a": "x"}, False),
        ({"a": True}, {"a": 1.5}, False),
        ({"a": "x"}, {"a": {"b": 1}}, False),
    ],
)
def test_more_than_is_wanted_is_as_good(live: Any, wanted: Any, same: bool) -> None:
    assert contains(live, wanted) is same


def test_another_digest_is_another_wish() -> None:
    def of(digest: str, **more: Any) -> dict[str, Any]:
        return {"metadata": {"annotations": {DIGEST: digest}}, **more}

    assert stands(of("1", spec={"a": 1}), of("1", spec={"a": 1}))
    assert not stands(of("1", spec={"a": 1}), of("2", spec={"a": 1}))
    assert not stands(of("1", spec={"a": 0}), of("1", spec={"a": 1}))


def test_a_fingerprint_leaves_out_what_the_server_notes() -> None:
    before = {"metadata": {"name": "x", "resourceVersion": "1", "generation": 1}, "spec": {"a": 1}, "status": {"n": 1}}
    after = {"metadata": {"name": "x", "resourceVersion": "2", "generation": 2}, "spec": {"a": 1}, "status": {"n": 2}}
    assert fingerprint(before) == fingerprint(after)
    assert fingerprint(before) != fingerprint(before | {"spec": {"a": 2}})


def test_a_former_managers_fields_become_ours() -> None:
    def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}

    theirs = entry("envoy-gateway", "Apply", {"f:spec": {"f:a": {}, "f:b": {}}})
    ours = entry("headgate", "Apply", {"f:spec": {"f:c": {}}})
    controller = entry("kube-controller-manager", "Update", {"f:status": {}}, subresource="status")
    found = taken_over({"metadata": {"managedFields": [theirs, ours, controller]}}, "headgate")
    assert found[0] == controller
    assert found[1]["manager"] == "headgate"
    assert found[1]["fieldsV1"] == {"f:spec": {"f:a": {}, "f:b": {}, "f:c": {}}}
    assert len(found) == 2


def test_an_old_selector_is_kept_while_it_selects_the_new_pods() -> None:
    def body(selector: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
        spec = {"selector": {"matchLabels": selector}, "template": {"metadata": {"labels": labels}}}
        return {"kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}

    old = body({"a": "1"}, {})
    assert keeping_selector(old, body({"b": "2"}, {"a": "1", "b": "2"}))["spec"]["selector"] == {"matchLabels": {"a": "1"}}
    with pytest.raises(ValueError, match="delete it"):
        keeping_selector(old, body({"b": "2"}, {"b": "2"}))
    assert keeping_selector(None, old) == old


PLAN = Plan("ns", ())


def service(kind: str, spec: dict[str, Any] | None = None, ingress: list[dict[str, str]] | None = None) -> dict[str, Any]:
    whole = {"type": kind, "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], **(spec or {})}
    return {"kind": "Service", "metadata": {"name": "s"}, "spec": whole, "status": {"loadBalancer": {"ingress": ingress or []}}}


NODE = {"status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.1"}, {"type": "InternalIP", "address": "fd00::1"}]}}


@pytest.mark.parametrize(
    ("plan", "found", "addresses"),
    [
        (PLAN, service("LoadBalancer"), ()),
        (PLAN, service("LoadBalancer", {"externalIPs": ["192.0.2.9"]}), ("192.0.2.9",)),
        (PLAN, service("LoadBalancer", None, [{"ip": "192.0.2.1"}, {"hostname": "h"}]), ("192.0.2.1", "h")),
        (PLAN, service("ClusterIP"), ("10.0.0.1",)),
        (PLAN, service("ClusterIP", {"clusterIPs": ["None"]}), ()),
        (PLAN, service("NodePort"), ("10.1.0.1",)),
        (PLAN, service("NodePort", {"ipFamilies": ["IPv4", "IPv6"]}), ("10.1.0.1", "fd00::1")),
        (PLAN._replace(addresses=("192.0.2.9",)), service("LoadBalancer", {"externalIPs": ["192.0.2.9"]}), ("192.0.2.9",)),
        (PLAN._replace(addresses=("10.0.0.1",)), service("ClusterIP"), ("10.0.0.1",)),
    ],
)
def test_addresses_are_what_the_service_has(plan: Plan, found: dict[str, Any], addresses: tuple[str, ...]) -> None:
    assert status(plan, [found], lambda _: [NODE]).addresses == addresses


def test_pods_that_can_be_used_make_a_fleet_ready() -> None:
    def workload(kind: str, **counts: int) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": "w"}, "status": counts}

    assert status(PLAN, [workload("Deployment", replicas=2)], none) == InfraStatus(wanted=2)
    assert status(PLAN, [workload("Deployment", replicas=2, availableReplicas=1)], none) == InfraStatus(ready=True, replicas=1, wanted=2)
    daemons = workload("DaemonSet", numberAvailable=3, currentNumberScheduled=4)
    assert status(PLAN, [daemons], none, "why") == InfraStatus(ready=True, replicas=3, wanted=4, message="why")


def none(_: object) -> tuple[()]:
    return ()


def test_only_nodes_with_a_pod_count_where_traffic_stays_local() -> None:
    told: list[None] = []
    places = Places(lambda: told.append(None))
    for name, address in (("one", "10.1.0.1"), ("two", "10.1.0.2")):
        node = {"status": {"addresses": [{"type": "InternalIP", "address": address}], "conditions": []}}
        places.note(ObjectRef("", "Node", "", name), node)
    at = ObjectRef("discovery.k8s.io", "EndpointSlice", "ns", "s-1")
    ready = [{"nodeName": "two", "conditions": {"ready": True}}, {"nodeName": "one", "conditions": {"ready": False}}]
    places.note(at, {"metadata": {"labels": {"kubernetes.io/service-name": "s"}}, "endpoints": ready})
    everywhere = {"metadata": {"name": "s", "namespace": "ns"}, "spec": {"externalTrafficPolicy": "Cluster"}}
    local = everywhere | {"spec": {"externalTrafficPolicy": "Local"}}
    assert node_addresses(places.of(everywhere), "IPv4") == ["10.1.0.1", "10.1.0.2"]
    assert node_addresses(places.of(local), "IPv4") == ["10.1.0.2"]
    count = len(told)
    places.note(ObjectRef("", "Node", "", "two"), {"status": {**node["status"], "conditions": [{"type": "Ready"}]}})
    assert len(told) == count, "a node's heartbeat moves no address"
    places.note(at, None)
    assert places.of(local) == []


def test_external_addresses_of_a_node_count_first() -> None:
    node = {"status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.1"}, {"type": "ExternalIP", "address": "203.0.113.1"}]}}
    assert node_addresses([node, NODE], "IPv4") == ["10.1.0.1", "203.0.113.1"]
    assert node_addresses([node], "IPv6") == []
