"""Fleets on a real API server: made once, repaired, removed, taken over from Envoy Gateway; and what is said of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.infra_manager.providers.kubernetes import KubernetesInfrastructure
from shared.core.refs import GatewayRef
from shared.ir.infra import Infra, InfraMetadata, ListenerPort, OwnerReference, ProxyInfra, ProxyListener
from shared.ir.status import InfraStatus
from shared.runtime.config import DeployMode, EnvoyGateway, Provider, RateLimitSection
from shared.runtime.config import KubernetesProvider as KubernetesConfig
from shared.runtime.settings import Settings
from shared.testing.wait import until
from tests.kube.apiserver import ApiServer

pytestmark = pytest.mark.timeout(240)

GATEWAY = GatewayRef("default", "gw")
NAME = "envoy-default-gw-"
OWNER = {"gateway.envoyproxy.io/owning-gateway-name": "gw", "gateway.envoyproxy.io/owning-gateway-namespace": "default"}
WEB = ProxyListener(name="web", ports=(ListenerPort(name="http-80", protocol="HTTP", service_port=80, container_port=10080),))
PATHS = {
    "serviceaccounts": "/api/v1",
    "configmaps": "/api/v1",
    "services": "/api/v1",
    "deployments": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "poddisruptionbudgets": "/apis/policy/v1",
}


def infra(kubernetes: dict[str, Any] | None = None, *, class_name: str = "eg", **more: Any) -> Infra:
    config = {"spec": {"provider": {"type": "Kubernetes", "kubernetes": kubernetes or {}}}}
    metadata = InfraMetadata(labels=OWNER, owner_reference=OwnerReference(kind="GatewayClass", name=class_name))
    return Infra(proxy=ProxyInfra(name="default/gw", metadata=metadata, listeners=(WEB,), config=config, **more))


class World:
    """A provider at work in a namespace of its own."""

    def __init__(self, cluster: ApiServer, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.provider: KubernetesInfrastructure
        self.adopted: frozenset[GatewayRef] = frozenset()
        self.statuses: list[InfraStatus | None] = []

    @contextlib.asynccontextmanager
    async def running(self, config: EnvoyGateway | None = None, certs: Path | None = None) -> AsyncIterator[None]:
        settings = Settings(service="infra-manager", config=config or EnvoyGateway(), namespace=self.namespace, cert_dir=certs)
        self.provider = KubernetesInfrastructure(settings)
        self.adopted = await self.provider.open()
        watching = asyncio.create_task(self._observe())
        try:
            yield
        finally:
            watching.cancel()
            await self.provider.close()

    async def _observe(self) -> None:
        while True:
            self.statuses.append((await self.provider.observe())[1])

    @property
    def status(self) -> InfraStatus | None:
        return self.statuses[-1] if self.statuses else None

    async def apply(self, wanted: Infra) -> None:
        await self.provider.apply(GATEWAY, self.provider.render(GATEWAY, wanted))

    def path(self, plural: str) -> str:
        return f"{PATHS[plural]}/namespaces/{self.namespace}/{plural}"

    def all(self, plural: str) -> list[dict[str, Any]]:
        items = self.cluster.get(self.path(plural))["items"]
        return [i for i in items or () if i["metadata"]["name"] not in ("default", "kube-root-ca.crt")]

    def one(self, plural: str) -> dict[str, Any]:
        (found,) = self.all(plural)
        return found

    def versions(self) -> dict[str, str]:
        return {f"{p}/{o['metadata']['name']}": o["metadata"]["resourceVersion"] for p in PATHS for o in self.all(p)}

    def whole(self) -> bool:
        return all(self.all(p) for p in ("serviceaccounts", "configmaps", "services", "deployments"))

    def patch(self, plural: str, name: str, body: dict[str, Any], *, sub: str = "") -> dict[str, Any]:
        path = f"{self.path(plural)}/{name}" + (f"/{sub}" if sub else "")
        answer = self.cluster.http.patch(path, json=body, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def run_pods(self, plural: str = "deployments", available: int = 1) -> None:
        """What a controller would say."""
        counts = {"availableReplicas": available, "replicas": available, "readyReplicas": available}
        self.patch(plural, self.one(plural)["metadata"]["name"], {"status": counts}, sub="status")


@pytest.fixture
def world(cluster: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"}}
    spec = {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}
    cluster.apply("/apis/gateway.networking.k8s.io/v1/gatewayclasses", body | {"spec": spec})
    return World(cluster, namespace)


async def test_a_fleet_is_made_owned_by_its_class_and_written_once(world: World) -> None:
    async with world.running():
        await world.apply(infra())
        await until(world.whole, 30)
        (owner,) = world.one("deployments")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("GatewayClass", "eg")
        assert world.one("services")["metadata"]["name"].startswith(NAME)
        assert world.one("services")["spec"]["type"] == "LoadBalancer"
        before = world.versions()
        await world.apply(infra())
        await world.apply(infra({"envoyDeployment": {"replicas": 2}}))
        await until(lambda: world.one("deployments")["spec"]["replicas"] == 2)
        changed = {k for k, v in world.versions().items() if before[k] != v}
        assert {k.partition("/")[0] for k in changed} == {"deployments"}
    before = world.versions()
    async with world.running():
        assert world.adopted == {GATEWAY}
        await world.apply(infra({"envoyDeployment": {"replicas": 2}}))
        await until(lambda: world.status is not None)
        assert world.versions() == before, "a restart writes nothing"


async def test_what_others_change_is_repaired(world: World) -> None:
    async with world.running():
        await world.apply(infra())
        await until(world.whole, 30)
        name = world.one("services")["metadata"]["name"]
        world.patch("services", name, {"spec": {"externalTrafficPolicy": "Cluster"}})
        await until(lambda: world.one("services")["spec"]["externalTrafficPolicy"] == "Local")
        world.cluster.delete(f"{world.path('configmaps')}/{name}")
        await until(lambda: bool(world.all("configmaps")))
        world.patch("services", name, {"metadata": {"annotations": {"theirs": "x"}}})
        await asyncio.sleep(0.3)  # long enough for a repair, if there were one
        assert world.one("services")["metadata"]["annotations"]["theirs"] == "x", "what we say nothing about is theirs"
    name = world.one("deployments")["metadata"]["name"]
    world.patch("deployments", name, {"spec": {"template": {"spec": {"dnsPolicy": "Default"}}}})
    async with world.running():
        await world.apply(infra())
        await until(lambda: world.one("deployments")["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst")


async def test_a_fleet_that_is_removed_leaves_nothing(world: World) -> None:
    everything = {"envoyDeployment": {}, "envoyHpa": {"maxReplicas": 3}, "envoyPDB": {"minAvailable": 1}}
    async with world.running():
        await world.apply(infra(everything))
        await until(lambda: world.whole() and bool(world.all("horizontalpodautoscalers")) and bool(world.all("poddisruptionbudgets")), 30)
        await world.apply(infra())
        await until(lambda: not world.all("horizontalpodautoscalers") and not world.all("poddisruptionbudgets"))
        await world.provider.remove(GATEWAY)
        await until(lambda: bool(world.statuses) and world.status is None)
        assert world.versions() == {}


async def test_an_autoscaler_finds_the_number_of_pods_that_there_were(world: World) -> None:
    async with world.running():
        await world.apply(infra({"envoyDeployment": {"replicas": 3}}))
        await until(world.whole, 30)
        await world.apply(infra({"envoyDeployment": {}, "envoyHpa": {"minReplicas": 2, "maxReplicas": 5}}))

        def ours() -> str:
            (found,) = (e for e in world.one("deployments")["metadata"]["managedFields"] if e["manager"] == "headgate")
            return str(found["fieldsV1"])

        await until(lambda: bool(world.all("horizontalpodautoscalers")) and "f:replicas" not in ours())
        assert world.one("deployments")["spec"]["replicas"] == 3
        name = world.one("deployments")["metadata"]["name"]
        world.patch("deployments", name, {"spec": {"replicas": 5}})
        version = world.one("deployments")["metadata"]["resourceVersion"]
        await asyncio.sleep(0.3)  # long enough for a repair, if there were one
        assert world.one("deployments")["metadata"]["resourceVersion"] == version


async def test_while_something_is_refused_the_status_still_follows(world: World) -> None:
    async with world.running():
        await world.apply(infra({"envoyHpa": {"minReplicas": 9, "maxReplicas": 3}}))
        await until(lambda: world.whole() and world.status is not None and "maxReplicas" in world.status.message, 30)
        world.run_pods()
        await until(lambda: world.status is not None and world.status.ready, 5)


async def test_a_daemon_set_takes_the_deployments_place_when_it_runs(world: World) -> None:
    async with world.running():
        await world.apply(infra())
        await until(world.whole, 30)
        world.run_pods()
        await world.apply(infra({"envoyDaemonSet": {}}))
        await until(lambda: bool(world.all("daemonsets")))
        assert world.all("deployments"), "it stays until the other runs"
        counts = {"numberAvailable": 1, "currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1}
        world.patch("daemonsets", world.one("daemonsets")["metadata"]["name"], {"status": counts}, sub="status")
        await until(lambda: not world.all("deployments"))


async def test_addresses_and_readiness_follow_what_is_there(world: World) -> None:
    async with world.running():
        await world.apply(infra())
        await until(world.whole, 30)
        await until(lambda: world.status == InfraStatus())
        name = world.one("services")["metadata"]["name"]
        world.patch(
            "services", name, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]}}}, sub="status"
        )
        await until(lambda: world.status == InfraStatus(addresses=("192.0.2.1", "lb.example")))
        world.run_pods(available=2)
        await until(lambda: world.status == InfraStatus(addresses=("192.0.2.1", "lb.example"), ready=True, replicas=2, wanted=2))
        world.run_pods(available=0)
        await until(lambda: world.status is not None and not world.status.ready)
        await world.apply(infra({"envoyService": {"type": "ClusterIP"}}))
        own = world.one("services")["spec"]["clusterIP"]
        await until(lambda: world.status is not None and world.status.addresses == (own,))


async def test_a_fixed_address_becomes_the_services_own(world: World) -> None:
    async with world.running():
        await world.apply(infra({"envoyService": {"type": "ClusterIP"}}, addresses=("10.0.0.77",)))
        await until(lambda: world.status is not None and world.status.addresses == ("10.0.0.77",), 30)
        assert world.one("services")["spec"]["clusterIP"] == "10.0.0.77"


async def test_what_the_server_refuses_is_told_and_the_rest_is_made(world: World) -> None:
    async with world.running():
        await world.apply(infra({"envoyService": {"type": "ClusterIP"}}, addresses=("192.0.2.7",)))
        await until(lambda: world.status is not None and "192.0.2.7" in world.status.message, 30)
        assert world.all("deployments")
        await world.apply(infra({"envoyService": {"type": "ClusterIP"}}))
        await until(lambda: world.status is not None and bool(world.status.addresses) and not world.status.message)


async def test_nodes_addresses_are_those_of_a_node_port(world: World) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": world.namespace}}
    world.cluster.apply("/api/v1/nodes", node)
    addresses = [{"type": "InternalIP", "address": "10.9.9.9"}, {"type": "ExternalIP", "address": "203.0.113.9"}]
    answer = world.cluster.http.patch(
        f"/api/v1/nodes/{world.namespace}/status",
        json={"status": {"addresses": addresses}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert answer.is_success, answer.text
    async with world.running():
        await world.apply(infra({"envoyService": {"type": "NodePort", "externalTrafficPolicy": "Cluster"}}))
        await until(lambda: world.status is not None and world.status.addresses == ("203.0.113.9",), 30)
    world.cluster.delete(f"/api/v1/nodes/{world.namespace}")


async def test_a_patch_of_each_kind_reaches_the_objects(world: World) -> None:
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "envoy", "env": [{"name": "EXTRA", "value": "1"}]}]}}}}
    merge = {"spec": {"template": {"spec": {"hostNetwork": True}}}}
    async with world.running():
        await world.apply(infra({"envoyDeployment": {"patch": {"value": strategic}}}))
        await until(world.whole, 30)
        pod = world.one("deployments")["spec"]["template"]["spec"]
        assert [c["name"] for c in pod["containers"]] == ["envoy", "shutdown-manager"]
        assert "EXTRA" in {e["name"] for e in pod["containers"][0]["env"]}
        await world.apply(infra({"envoyDeployment": {"patch": {"type": "JSONMerge", "value": merge}}}))
        await until(lambda: world.one("deployments")["spec"]["template"]["spec"].get("hostNetwork") is True)


async def test_what_envoy_gateway_made_is_taken_over(world: World) -> None:
    """Its objects stay the same objects; what it wanted and we do not goes; its old selector is kept."""
    former = KubernetesInfrastructure(Settings(service="infra-manager", namespace=world.namespace))
    plan = former.render(GATEWAY, infra({"envoyService": {"labels": {"theirs": "x"}}}))
    assert plan is not None
    for manifest in plan.manifests:
        body = manifest.body()
        del body["metadata"]["annotations"]
        plural = {"ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps", "Service": "services", "Deployment": "deployments"}
        if body["kind"] == "Deployment":
            body["spec"]["template"]["spec"]["nodeSelector"] = {"old": "yes"}
            del body["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        world.cluster.apply(world.path(plural[body["kind"]]), body, manager="envoy-gateway")
    uids = {p: world.one(p)["metadata"]["uid"] for p in ("services", "deployments", "configmaps", "serviceaccounts")}
    async with world.running():
        assert world.adopted == {GATEWAY}
        await world.apply(infra())
        await until(lambda: "nodeSelector" not in world.one("deployments")["spec"]["template"]["spec"], 30)
        await until(lambda: "theirs" not in world.one("services")["metadata"]["labels"])
        assert {p: world.one(p)["metadata"]["uid"] for p in uids} == uids
        managers = {e["manager"] for p in uids for e in world.one(p)["metadata"]["managedFields"]}
        assert managers == {"headgate"}


async def test_the_rate_limit_service_comes_and_goes_with_its_section(world: World) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "envoy-gateway"}, "spec": {"ports": [{"port": 18001}]}}
    world.cluster.apply(world.path("services"), service)

    def made(plural: str) -> list[str]:
        return [o["metadata"]["name"] for o in world.all(plural) if o["metadata"]["name"] != "envoy-gateway"]

    section = RateLimitSection(backend={"type": "Redis", "redis": {"url": "redis:6379"}})
    async with world.running(EnvoyGateway(rate_limit=section)):
        await until(lambda: all(made(p) == ["envoy-ratelimit"] for p in ("services", "deployments", "serviceaccounts")), 30)
        await until(lambda: made("configmaps") == ["statsd-exporter-config"])
        (owner,) = world.one("deployments")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"]) == ("Service", "envoy-gateway")
        assert not world.adopted
    async with world.running():
        await until(lambda: not any(made(p) for p in PATHS))


async def test_in_the_gateways_namespace_nothing_of_others_is_touched(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.infra_manager.providers.kubernetes.infrastructure.LOOK_AGAIN", 0.1)
    authority = tmp_path / "envoy-gateway" / "ca.crt"
    authority.parent.mkdir()
    authority.write_text("first")
    config = EnvoyGateway(provider=Provider(type="Kubernetes", kubernetes=KubernetesConfig(deploy=DeployMode(type="GatewayNamespace"))))
    spec = {"gatewayClassName": "eg", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw"}, "spec": spec}
    world.cluster.apply(f"/apis/gateway.networking.k8s.io/v1/namespaces/{world.namespace}/gateways", gateway)
    theirs = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gw"}, "spec": {"ports": [{"port": 1}]}}
    world.cluster.apply(world.path("services"), theirs)
    labels = OWNER | {"gateway.envoyproxy.io/owning-gateway-namespace": world.namespace}
    metadata = InfraMetadata(labels=labels, owner_reference=OwnerReference(kind="Gateway", name="gw"))
    proxy = ProxyInfra(name="gw", namespace=world.namespace, metadata=metadata, listeners=(WEB,))
    at = GatewayRef(world.namespace, "gw")
    async with world.running(config, tmp_path):
        await world.provider.apply(at, world.provider.render(at, Infra(proxy=proxy)))
        await until(lambda: world.status is not None and "already exists" in world.status.message, 30)
        assert world.one("services")["spec"]["ports"][0]["port"] == 1
        (owner,) = world.one("deployments")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], world.one("deployments")["metadata"]["name"]) == ("Gateway", "gw", "gw")
        assert world.one("configmaps")["data"]["ca.crt"] == "first"
        authority.write_text("second")
        await until(lambda: world.one("configmaps")["data"]["ca.crt"] == "second")
        world.cluster.delete(f"{world.path('services')}/gw")
        await until(lambda: bool(world.all("services")) and world.one("services")["spec"]["ports"][0]["port"] == 80, 40)
        await world.provider.remove(at)
        await until(lambda: world.status is None)
