"""A pod that is bound to a node, with a real API server that asks the topology injector."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.cli.certgen import generate
from services.infra_manager.providers.kubernetes.webhook import PATH, Injector
from shared.kube.client import Kube
from shared.testing.ports import free_port
from shared.testing.wait import until
from tests.kube.apiserver import ApiServer

pytestmark = pytest.mark.timeout(120)

ZONE = "topology.kubernetes.io/zone"
PROXY = {
    "app.kubernetes.io/name": "envoy",
    "app.kubernetes.io/component": "proxy",
    "app.kubernetes.io/managed-by": "envoy-gateway",
    "gateway.envoyproxy.io/owning-gateway-name": "gw",
    "gateway.envoyproxy.io/owning-gateway-namespace": "ns",
}
HOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


@contextlib.asynccontextmanager
async def serving(certs: Path, port: int) -> AsyncIterator[None]:
    async with await Kube.connect("test") as kube:
        task = asyncio.create_task(Injector(kube, certs).serve(port))

        async def listens() -> bool:
            if task.done():
                task.result()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return True
            return False

        try:
            await until(listens)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def hook(cluster: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its port, and the folder of its certificate."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    generate(tmp_path)
    port, name = free_port(), f"injector-{namespace}"
    authority = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
    webhook = {
        "name": "topology.webhook.gateway.envoyproxy.io",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "timeoutSeconds": 3,
        "clientConfig": {"url": f"https://127.0.0.1:{port}{PATH}", "caBundle": authority},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/binding"]}],
        "namespaceSelector": {"matchLabels": {"test": namespace}},
    }
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": name}}
    cluster.apply(HOOKS, body | {"webhooks": [webhook]})
    cluster.apply("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {ZONE: "zone-a"}}})
    yield port, tmp_path / "envoy-gateway", name
    cluster.delete(f"{HOOKS}/{name}")
    cluster.delete(f"/api/v1/nodes/{name}")


def bind(cluster: ApiServer, namespace: str, node: str, name: str, labels: dict[str, str]) -> dict[str, str]:
    """The pod's annotations after it was bound."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}]}
    cluster.apply(pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec})
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace},
        "target": {"kind": "Node", "name": node},
    }
    answer = cluster.http.post(f"{pods}/{name}/binding", json=binding)
    assert answer.is_success, answer.text
    pod = cluster.get(f"{pods}/{name}")
    assert pod["spec"]["nodeName"] == node
    annotations: dict[str, str] = pod["metadata"].get("annotations") or {}
    return annotations


async def test_a_proxy_learns_its_zone_and_others_are_left_alone(cluster: ApiServer, namespace: str, hook: Any) -> None:
    port, certs, node = hook
    async with serving(certs, port):
        # the API server takes notice of its webhooks a moment later
        numbers = iter(range(100))

        async def told() -> bool:
            found = await asyncio.to_thread(bind, cluster, namespace, node, f"proxy-{next(numbers)}", PROXY)
            return found.get(ZONE) == '"zone-a"'

        await until(told, 30)
        assert ZONE not in await asyncio.to_thread(bind, cluster, namespace, node, "other", {"app": "other"})
    assert ZONE not in await asyncio.to_thread(bind, cluster, namespace, node, "late", PROXY), "bound although nobody answered"
