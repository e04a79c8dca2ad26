"""Proxies of other shapes than the quickstart's, as the node really runs them, and what becomes of them when their EnvoyProxy changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import NAMESPACE, Cluster, fetched, of_gateway, until
from tests.e2e.steady import HOST

ZONE = "topology.kubernetes.io/zone"


def one(cluster: Cluster, kind: str, gateway: str) -> dict[str, Any]:
    (found,) = cluster.items(kind, selector=of_gateway(gateway))
    return found


def running(cluster: Cluster, gateway: str) -> dict[str, dict[str, Any]]:
    """Ready pods that are to stay, by UID."""
    pods = cluster.staying(of_gateway(gateway))
    ready = {c["status"] for p in pods for c in p["status"].get("conditions", ()) if c["type"] == "Ready"}
    return {p["metadata"]["uid"]: p for p in pods} if ready == {"True"} else {}


def answers(cluster: Cluster, url: str) -> None:
    until(lambda: cluster.curl(url, headers={"Host": HOST}).status == 200)


@pytest.fixture(scope="module")
def fleets(installed: Cluster, quickstart: str) -> Iterator[Cluster]:
    installed.kubectl("label", "--overwrite", "nodes", "--all", f"{ZONE}=zone-7")
    installed.apply_file("fleets.yaml", team="one")
    for gateway in ("everywhere", "scaled"):
        installed.address(gateway, "quickstart")
    yield installed
    installed.delete_file("fleets.yaml")
    installed.kubectl("label", "nodes", "--all", f"{ZONE}-")
    until(lambda: not any(installed.proxies(g) for g in ("everywhere", "scaled")), 120)


def test_one_on_each_node_behind_a_port_of_it(fleets: Cluster) -> None:
    workload, service = one(fleets, "daemonset", "everywhere"), one(fleets, "service", "everywhere")
    assert fleets.items("deployment", selector=of_gateway("everywhere")) == []
    assert workload["spec"]["minReadySeconds"] == 1
    assert workload["status"]["numberReady"] == len(fleets.items("node"))
    assert service["metadata"]["labels"]["example.com/stage"] == "test"
    node = next(a["address"] for a in fleets.items("node")[0]["status"]["addresses"] if a["type"] == "InternalIP")
    addresses = fleets.get("gateway", "everywhere", "quickstart")["status"]["addresses"]
    assert [a["value"] for a in addresses] == [node]
    answers(fleets, f"http://{node}:{service['spec']['ports'][0]['nodePort']}/")


def test_pods_are_replaced_only_for_what_is_theirs(fleets: Cluster) -> None:
    before = until(lambda: running(fleets, "everywhere"))
    service = one(fleets, "service", "everywhere")["metadata"]["uid"]
    kubernetes = {"provider": {"type": "Kubernetes", "kubernetes": {"envoyService": {"annotations": {"example.com/team": "two"}}}}}
    change(fleets, kubernetes)
    until(lambda: one(fleets, "service", "everywhere")["metadata"]["annotations"]["example.com/team"] == "two")
    assert set(running(fleets, "everywhere")) == set(before)
    pod = {"envoyDaemonSet": {"pod": {"annotations": {"example.com/team": "two"}}}}
    change(fleets, {"provider": {"type": "Kubernetes", "kubernetes": pod}})
    after = until(lambda: (now := running(fleets, "everywhere")) and not set(now) & set(before) and now, 120)
    assert {p["metadata"]["annotations"]["example.com/team"] for p in after.values()} == {"two"}
    assert one(fleets, "service", "everywhere")["metadata"]["uid"] == service


def change(cluster: Cluster, spec: dict[str, Any]) -> None:
    cluster.kubectl("patch", "envoyproxy", "everywhere", "-n", "quickstart", "--type=merge", "-p", json.dumps({"spec": spec}))


def test_what_was_asked_of_a_pod_is_what_runs(fleets: Cluster) -> None:
    pods = until(lambda: len(found := running(fleets, "scaled")) == 2 and found, 120)
    for pod in pods.values():
        spec, before = pod["spec"], pod["status"]["initContainerStatuses"]
        envoy = next(c for c in spec["containers"] if c["name"] == "envoy")
        assert pod["metadata"]["labels"]["example.com/team"] == "edge"
        assert spec["hostname"] == "patched"
        assert {"key": "example.com/edge", "operator": "Exists"} in spec["tolerations"]
        assert [t["topologyKey"] for t in spec["topologySpreadConstraints"]] == ["kubernetes.io/hostname"]
        assert {"name": "EXAMPLE", "value": "told"} in envoy["env"]
        assert {"name": "scratch", "mountPath": "/scratch"} in envoy["volumeMounts"]
        assert envoy["resources"]["requests"] == {"cpu": "50m", "memory": "128Mi"}
        assert envoy["args"][envoy["args"].index("--concurrency") + 1] == "1"
        assert [(s["name"], s["state"]["terminated"]["exitCode"]) for s in before] == [("before", 0)]
    answers(fleets, f"http://{fleets.address('scaled', 'quickstart')}/")


def test_replicas_are_the_autoscalers(fleets: Cluster) -> None:
    """It alone says how many there are; nothing sets that back when something else of the workload changes."""
    scaler, budget = (one(fleets, kind, "scaled") for kind in ("horizontalpodautoscaler", "poddisruptionbudget"))
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 3)
    assert budget["spec"]["maxUnavailable"] == 1
    until(lambda: one(fleets, "poddisruptionbudget", "scaled")["status"].get("disruptionsAllowed") == 1)
    bounds = {"provider": {"kubernetes": {"envoyHpa": {"minReplicas": 3}}}}
    fleets.kubectl("patch", "envoyproxy", "scaled", "-n", "quickstart", "--type=merge", "-p", json.dumps({"spec": bounds}))
    until(lambda: len(running(fleets, "scaled")) == 3, 120)
    fewer = {"provider": {"kubernetes": {"envoyDeployment": {"pod": {"labels": {"example.com/stage": "late"}}}}}}
    fleets.kubectl("patch", "envoyproxy", "scaled", "-n", "quickstart", "--type=merge", "-p", json.dumps({"spec": fewer}))

    def replaced() -> bool:
        assert one(fleets, "deployment", "scaled")["spec"]["replicas"] == 3
        return [p["metadata"]["labels"].get("example.com/stage") for p in running(fleets, "scaled").values()] == ["late"] * 3

    until(replaced, 180)


def test_a_proxy_knows_its_zone(fleets: Cluster) -> None:
    pod = next(iter(until(lambda: running(fleets, "scaled")).values()))
    assert json.loads(pod["metadata"]["annotations"][ZONE]) == "zone-7", "quoted, as Envoy Gateway's"
    with fleets.forwarded(pod["metadata"]["name"], 19000) as url:
        assert until(lambda: fetched(f"{url}/server_info"))["node"]["locality"]["zone"] == "zone-7"


def test_nothing_is_left_of_a_gateway_that_is_deleted(fleets: Cluster) -> None:
    fleets.kubectl("delete", "gateway", "scaled", "-n", "quickstart")
    kinds = "deployment,service,serviceaccount,configmap,horizontalpodautoscaler,poddisruptionbudget"
    listed = ("get", kinds, "-n", NAMESPACE, "-l", of_gateway("scaled"), "-o", "name")
    until(lambda: fleets.kubectl(*listed).split() == [], 120)
