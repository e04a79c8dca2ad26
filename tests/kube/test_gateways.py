"""From a Gateway in the cluster to its proxies' objects, and from those to the Gateway's addresses and `Programmed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from services.cli.certgen import SEALING_KEY
from services.cli.up import plan
from shared.runtime.config import EnvoyGateway, KubernetesProvider, Provider, Watch
from shared.testing.wait import until
from tests.kube.apiserver import ApiServer
from tests.kube.pipeline import ClusterPipeline

pytestmark = pytest.mark.timeout(240)

GATEWAY = "gateway.networking.k8s.io"


class Installed(ClusterPipeline):
    """As it is installed in a cluster: Kubernetes gives the objects, and Kubernetes runs the proxies."""

    async def __aenter__(self) -> Installed:
        await super().__aenter__()
        made = plan.configuration(EnvoyGateway(), self.folder, self.layout, self.nats.port, self.layout.certs / SEALING_KEY)
        kubernetes = KubernetesProvider(watch=Watch(type="Namespaces", namespaces=(self.namespace,)))
        self.layout.config.write_text(plan.text(replace(made, provider=Provider(type="Kubernetes", kubernetes=kubernetes))))
        return self

    def made(self, plural: str, base: str = "/api/v1") -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.cluster.get(f"{base}/namespaces/{self.namespace}/{plural}")["items"]
        return items

    def tell(self, found: dict[str, Any], plural: str, status: dict[str, Any], base: str = "/api/v1") -> None:
        """What a controller of the cluster would say of an object."""
        path = f"{base}/namespaces/{self.namespace}/{plural}/{found['metadata']['name']}/status"
        answer = self.cluster.http.patch(path, json={"status": status}, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.is_success, answer.text

    def programmed(self) -> tuple[str, str]:
        found = self.conditions("gw", "Gateway").get("Programmed") or {}
        return found.get("status", ""), found.get("reason", "")


async def test_a_gateway_gets_proxies_and_says_where_they_are(
    cluster: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("HEADGATE_NAMESPACE", namespace)
    async with Installed(tmp_path, cluster, namespace) as p:
        p.nats.start()
        p.start("resource-watcher", "translator", "infra-manager")
        p.gateway()
        await until(lambda: bool(p.made("services")) and bool(p.made("deployments", "/apis/apps/v1")), 40)
        (service,) = p.made("services")
        assert [(x["port"], x["targetPort"]) for x in service["spec"]["ports"]] == [(p.port, p.port if p.port >= 1024 else p.port + 10000)]
        await until(lambda: p.programmed() == ("False", "AddressNotAssigned"), 20)
        p.tell(service, "services", {"loadBalancer": {"ingress": [{"ip": "192.0.2.5"}]}})
        await until(lambda: p.programmed() == ("False", "NoResources"), 20)
        (deployment,) = p.made("deployments", "/apis/apps/v1")
        p.tell(deployment, "deployments", {"replicas": 2, "availableReplicas": 1, "readyReplicas": 1}, "/apis/apps/v1")
        await until(lambda: p.programmed() == ("True", "Programmed"), 20)
        status = p.status(GATEWAY, "Gateway", "gw")
        assert status["addresses"] == [{"type": "IPAddress", "value": "192.0.2.5"}]
        assert p.conditions("gw", "Gateway")["Programmed"]["message"] == "Address assigned to the Gateway, 1/2 envoy replicas available"
        cluster.delete(f"{p.path(GATEWAY + '/v1', 'Gateway')}/gw")
        await until(lambda: not p.made("services") and not p.made("deployments", "/apis/apps/v1"), 20)
