"""Headgate takes Envoy Gateway's place where its proxies serve: they go on while nobody controls them, and are adopted.

Envoy Gateway itself is not there: what it leaves behind when it is uninstalled (proxies and their objects, applied by the manager
`envoy-gateway`; Secrets; a finalizer on the class) is put in place instead.
"""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.cluster import NAMESPACE, Cluster, of_gateway, until
from tests.e2e.conftest import VALUES
from tests.e2e.steady import nothing_fails

KINDS = ("serviceaccount", "configmap", "service", "deployment")
OURS = of_gateway("eg")
FINALIZER = "gateway-exists-finalizer.gateway.networking.k8s.io"


def fleet(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Kind -> the object of the quickstart's proxies."""
    found = {kind: cluster.items(kind, selector=OURS) for kind in KINDS}
    assert {kind: len(objects) for kind, objects in found.items()} == dict.fromkeys(KINDS, 1)
    return {kind: objects[0] for kind, objects in found.items()}


def applied_by_envoy_gateway(cluster: Cluster, *more_arguments: str) -> None:
    """The same objects with their fields owned by Envoy Gateway; `more_arguments`: what it starts Envoy with otherwise."""
    for kind, found in fleet(cluster).items():
        name, meta = found["metadata"]["name"], found["metadata"]
        nobody = json.dumps([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}])
        cluster.kubectl("patch", kind, name, "-n", NAMESPACE, "--type=json", "-p", nobody)
        kept = {k: meta[k] for k in ("name", "namespace", "labels", "annotations", "ownerReferences") if k in meta}
        body = {k: v for k, v in found.items() if k != "status"} | {"metadata": kept}
        if kind == "deployment":
            envoy = next(c for c in body["spec"]["template"]["spec"]["containers"] if c["name"] == "envoy")
            envoy["args"] = [*envoy["args"], *more_arguments]
            kept["annotations"] = {k: v for k, v in kept.get("annotations", {}).items() if not k.startswith("deployment.kubernetes.io/")}
        apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=envoy-gateway", "-f", "-")
        cluster.kubectl(*apply, text=json.dumps(body))


def lasting(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What clients and the cluster know the objects by."""
    service = objects["service"]
    ports = [(p["port"], p.get("nodePort")) for p in service["spec"]["ports"]]
    return {k: o["metadata"]["uid"] for k, o in objects.items()} | {"ports": ports, "ip": service["spec"]["clusterIP"]}


def test_the_same_proxies_are_adopted_as_they_are(installed: Cluster, quickstart: str) -> None:
    before, proxies = lasting(fleet(installed)), set(until(lambda: len(p := installed.proxies("eg")) == 2 and p))
    with nothing_fails(installed, quickstart):
        installed.uninstall_with_helm()
        until(lambda: installed.items("pod", selector="app.kubernetes.io/name=headgate") == [])
        applied_by_envoy_gateway(installed)
        installed.kubectl("patch", "gatewayclass", "eg", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": [FINALIZER]}}))
        installed.install_with_helm(*VALUES)
        installed.installed()
        until(lambda: installed.is_true("gateway", "eg", "Programmed", "quickstart"))
    assert lasting(fleet(installed)) == before
    assert set(installed.proxies("eg")) == proxies, "no proxy was restarted"


def test_proxies_that_are_started_otherwise_are_replaced_one_by_one(installed: Cluster, quickstart: str) -> None:
    before = lasting(fleet(installed))
    name = fleet(installed)["deployment"]["metadata"]["name"]
    with nothing_fails(installed, quickstart, retries=True):
        installed.uninstall_with_helm()
        until(lambda: installed.items("pod", selector="app.kubernetes.io/name=headgate") == [])
        installed.install_with_helm(*VALUES)
        applied_by_envoy_gateway(installed, "--concurrency", "1")
        installed.installed()
        until(lambda: "--concurrency" not in str(installed.get("deployment", name)["spec"]["template"]), 60)
        installed.rolled_out("deployment", name)
    assert lasting(fleet(installed)) == before
