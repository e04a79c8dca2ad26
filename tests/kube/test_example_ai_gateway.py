"""The AI gateway's controller, definitions and manifests with a real API server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from examples.ai_gateway.controller import Controller
from examples.ai_gateway.kubernetes import MANAGER, KubernetesSource
from examples.ai_gateway.selection import MANAGED, Selector
from shared.kube.client import Kube
from shared.testing.wait import until
from tests.kube.apiserver import ApiServer
from tests.kube.dry_run import applies, says_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "ai_gateway"
OWN, GATEWAY_API = "/apis/ai-gateway.envoyproxy.io/v1alpha1", "/apis/gateway.networking.k8s.io/v1"


class Cluster:
    def __init__(self, server: ApiServer, namespace: str, controller: Controller) -> None:
        self.server, self.namespace, self.controller = server, namespace, controller

    def put(self, base: str, plural: str, kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> None:
        version = base.removeprefix("/apis/").removeprefix("/api/")
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}, **spec}
        self.server.apply(f"{base}/namespaces/{self.namespace}/{plural}", body)

    def gateway(self, **labels: str) -> None:
        listener = {"name": "http", "protocol": "HTTP", "port": 80}
        spec = {"spec": {"gatewayClassName": "c", "listeners": [listener]}}
        self.put(GATEWAY_API, "gateways", "Gateway", "gw", spec, labels=labels)

    def route(self, models: list[str]) -> None:
        spec = {"parentRefs": [{"name": "gw"}], "rules": [{"models": models, "backends": [{"name": "b"}]}]}
        self.put(OWN, "airoutes", "AIRoute", "chat", {"spec": spec})

    def get(self, path: str) -> dict[str, Any]:
        answer = self.server.http.get(path)
        found: dict[str, Any] = answer.json() if answer.is_success else {}
        return found

    def made(self) -> dict[str, Any]:
        return self.get(f"{GATEWAY_API}/namespaces/{self.namespace}/httproutes/chat-ai")

    def managed(self) -> dict[str, Any]:
        status = self.get(f"{OWN}/namespaces/{self.namespace}/airoutes/chat").get("status") or {}
        parents: list[dict[str, Any]] = status.get("parents") or [{}]
        found: dict[str, Any] = {c["type"]: c for c in parents[0].get("conditions", ())}.get("Managed", {})
        return found


@pytest.fixture(scope="module")
def installed(cluster: ApiServer) -> ApiServer:
    cluster.install(EXAMPLE / "crds.yaml")
    for name in ("ai-gateway", "envoy-gateway-system"):
        cluster.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return cluster


@contextlib.asynccontextmanager
async def controlling(server: ApiServer, namespace: str) -> AsyncIterator[Cluster]:
    async with await Kube.connect(MANAGER) as kube:
        controller = Controller(KubernetesSource(kube), Selector(namespaces=(namespace,)))
        task = asyncio.create_task(controller.run())
        try:
            yield Cluster(server, namespace, controller)
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest_asyncio.fixture
async def world(installed: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setenv("KUBECONFIG", str(installed.kubeconfig))
    async with controlling(installed, namespace) as made:
        yield made


async def test_routes_are_made_followed_and_taken_away(world: Cluster) -> None:
    world.gateway()
    world.put(OWN, "aibackends", "AIBackend", "b", {"spec": {"endpoint": {"host": "h"}, "credentials": {"secretRef": {"name": "s"}}}})
    world.route(["gpt-*"])
    found = await until(world.made, 20)
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("AIRoute", "chat")
    assert found["spec"]["rules"][0]["backendRefs"][0]["kind"] == "AIBackend"
    await until(lambda: world.managed().get("status") == "True", 20)

    world.put("/api/v1", "secrets", "Secret", "s", {"stringData": {"apiKey": "k"}})
    await until(lambda: world.controller.credentials.get((world.namespace, "s", "apiKey")) == "k", 20)

    def conditions() -> list[str]:
        status = world.get(f"{OWN}/namespaces/{world.namespace}/aibackends/b").get("status") or {}
        return [c["status"] for c in status.get("conditions", ())]

    await until(lambda: conditions() == ["True", "True"], 20)

    world.server.delete(f"{GATEWAY_API}/namespaces/{world.namespace}/httproutes/chat-ai")
    await until(lambda: world.made().get("metadata", {}).get("uid") not in (None, found["metadata"]["uid"]), 20)
    world.server.delete(f"{OWN}/namespaces/{world.namespace}/airoutes/chat")
    world.route(["again"])
    await until(lambda: world.managed().get("status") == "True", 20)

    world.gateway(**{MANAGED: "false"})
    await until(lambda: not world.made(), 20)
    await until(lambda: world.managed().get("reason") == "LabelSaysNo", 20)
    world.gateway()
    await until(world.made, 20)
    world.route(["other"])
    await until(lambda: world.made()["spec"]["rules"][0]["matches"][0]["headers"][0]["value"] == "other", 20)


async def test_what_a_former_life_made_goes_when_nothing_asks_for_it(world: Cluster) -> None:
    metadata = {"labels": {"ai-gateway.envoyproxy.io/route": "gone"}}
    world.put(GATEWAY_API, "httproutes", "HTTPRoute", "gone-ai", {"spec": {}}, **metadata)
    world.put(GATEWAY_API, "httproutes", "HTTPRoute", "the-users-own", {"spec": {}})
    async with controlling(world.server, world.namespace) as again:
        again.gateway()
        again.route(["a"])
        await until(again.made, 20)
        await until(lambda: not again.get(f"{GATEWAY_API}/namespaces/{again.namespace}/httproutes/gone-ai"), 20)
    assert world.get(f"{GATEWAY_API}/namespaces/{world.namespace}/httproutes/the-users-own")


@pytest.mark.parametrize(
    ("plural", "kind", "spec", "says"),
    [
        ("airoutes", "AIRoute", {"rules": [{"backends": [{"name": "b"}]}]}, ""),
        ("airoutes", "AIRoute", {"rules": []}, "spec.rules"),
        ("airoutes", "AIRoute", {"rules": [{"backends": [{"name": "b"}], "modles": []}]}, "unknown field"),
        ("aibackends", "AIBackend", {"endpoint": {"host": "h"}, "schema": "Other"}, "spec.schema"),
        ("aibackends", "AIBackend", {"endpoint": {"host": "h", "port": 0}}, "spec.endpoint.port"),
    ],
)
def test_definitions_refuse_what_is_wrong(
    installed: ApiServer, namespace: str, plural: str, kind: str, spec: dict[str, Any], says: str
) -> None:
    body = {"apiVersion": "ai-gateway.envoyproxy.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    path = f"{OWN}/namespaces/{namespace}/{plural}"
    says_of(installed, path, body, says)


@pytest.mark.parametrize("document", list(yaml.safe_load_all((EXAMPLE / "kubernetes.yaml").read_text())), ids=lambda d: str(d["kind"]))
def test_the_server_takes_the_manifests(installed: ApiServer, document: dict[str, Any]) -> None:
    applies(installed, document)
