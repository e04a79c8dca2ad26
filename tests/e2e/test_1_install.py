"""Both ways to install, on a namespace that takes only restricted pods; the quickstart answers, and nothing is left behind."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import NAMESPACE, Cluster, until
from tests.e2e.steady import HOST


def answers(cluster: Cluster) -> None:
    cluster.namespace("quickstart")
    cluster.apply_file("quickstart.yaml")
    address = cluster.address("eg", "quickstart")
    answer = until(lambda: (a := cluster.curl(f"http://{address}/hello", headers={"Host": HOST})).status == 200 and a, 60)
    assert answer.echo["path"] == "/hello"
    assert cluster.is_true("httproute", "backend", "Accepted", "quickstart")
    assert cluster.is_true("gatewayclass", "eg", "Accepted", "")


def left_behind(cluster: Cluster) -> list[str]:
    kinds = "clusterrole,clusterrolebinding,mutatingwebhookconfiguration"
    return [n for n in cluster.kubectl("get", kinds, "-o", "name").split() if f"headgate:{NAMESPACE}" in n or "topology-injector" in n]


def test_kustomize(cluster: Cluster) -> None:
    cluster.install_with_kustomize()
    cluster.installed()
    try:
        answers(cluster)
        cluster.delete_file("quickstart.yaml")
        until(lambda: cluster.proxies("eg") == [], 60)
    finally:
        cluster.uninstall_with_kustomize()
        cluster.namespace(NAMESPACE)
        until(lambda: cluster.items("pod") == [], 120)
    assert left_behind(cluster) == []


def test_helm(installed: Cluster) -> None:
    answers(installed)
    installed.delete_file("quickstart.yaml")
    until(lambda: installed.proxies("eg") == [], 60)


@pytest.mark.parametrize("service", ["resource-watcher", "translator", "xds-server", "infra-manager"])
def test_nothing_was_restarted(installed: Cluster, service: str) -> None:
    """All find NATS, their Secrets and each other in any order."""
    pods = installed.items("pod", selector=f"app.kubernetes.io/component={service}")
    assert [s["restartCount"] for p in pods for s in p["status"]["containerStatuses"]] == [0]
