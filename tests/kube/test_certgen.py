"""certgen against a real API server: what is there is left alone, what is missing is made, a set is never mixed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.cli import exits
from services.cli.cluster_secrets import WEBHOOK, Incomplete, install, kits, trust_webhook
from shared.kube.client import Kube
from tests.kube.apiserver import ApiServer

DOMAIN = "cluster.local"


@pytest.fixture
async def kube(cluster: ApiServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kube]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    async with await Kube.connect("test") as kube:
        yield kube


def found(cluster: ApiServer, namespace: str) -> dict[str, dict[str, str]]:
    return {s["metadata"]["name"]: s["data"] for s in cluster.get(f"/api/v1/namespaces/{namespace}/secrets")["items"]}


def by_hand(cluster: ApiServer, namespace: str, name: str) -> None:
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"tls.crt": "theirs"}}
    cluster.apply(f"/api/v1/namespaces/{namespace}/secrets", secret)


async def test_a_second_run_changes_nothing(cluster: ApiServer, namespace: str, kube: Kube) -> None:
    wanted = kits(namespace, DOMAIN)
    assert sorted(await install(kube, namespace, wanted)) == sorted(n for k in wanted for n in k.names)
    before = found(cluster, namespace)
    assert await install(kube, namespace, wanted) == []
    assert found(cluster, namespace) == before


async def test_to_overwrite_makes_everything_anew(cluster: ApiServer, namespace: str, kube: Kube) -> None:
    await install(kube, namespace, kits(namespace, DOMAIN))
    before = found(cluster, namespace)
    await install(kube, namespace, kits(namespace, DOMAIN), overwrite=True)
    after = found(cluster, namespace)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)


async def test_a_set_that_was_interrupted_is_made_again_whole(cluster: ApiServer, namespace: str, kube: Kube) -> None:
    await install(kube, namespace, kits(namespace, DOMAIN))
    before = found(cluster, namespace)
    cluster.delete(f"/api/v1/namespaces/{namespace}/secrets/envoy")
    assert sorted(await install(kube, namespace, kits(namespace, DOMAIN))) == ["envoy", "envoy-gateway", "envoy-rate-limit"]
    after = found(cluster, namespace)
    assert after["envoy"]["ca.crt"] == after["envoy-gateway"]["ca.crt"] != before["envoy-gateway"]["ca.crt"]
    assert after["headgate-bus-key"] == before["headgate-bus-key"]


async def test_what_others_made_is_never_replaced(cluster: ApiServer, namespace: str, kube: Kube) -> None:
    by_hand(cluster, namespace, "envoy-gateway")
    with pytest.raises(Incomplete, match="envoy-gateway found"):
        await install(kube, namespace, kits(namespace, DOMAIN))
    by_hand(cluster, namespace, "envoy")
    by_hand(cluster, namespace, "envoy-rate-limit")
    assert not {"envoy", "envoy-gateway"} & set(await install(kube, namespace, kits(namespace, DOMAIN)))
    assert found(cluster, namespace)["envoy"].keys() == {"tls.crt"}


async def test_the_webhook_is_told_the_authority(cluster: ApiServer, namespace: str, kube: Kube) -> None:
    assert not await trust_webhook(kube, namespace)
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    client = {"service": {"name": "headgate-infra-manager", "namespace": namespace, "path": "/inject-pod-topology", "port": 9443}}
    webhook = {"name": "t.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": client, "rules": []}
    name = f"{WEBHOOK}.{namespace}"
    made = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{**webhook, "failurePolicy": "Ignore"}],
    }
    cluster.apply(path, made)
    await install(kube, namespace, kits(namespace, DOMAIN))
    assert await trust_webhook(kube, namespace)
    assert not await trust_webhook(kube, namespace)
    bundle = cluster.get(f"{path}/{name}")["webhooks"][0]["clientConfig"]["caBundle"]
    assert bundle == found(cluster, namespace)["envoy-gateway"]["ca.crt"]


def test_the_command_says_what_it_wrote_and_what_is_wrong(cluster: ApiServer, namespace: str) -> None:
    command = [sys.executable, "-m", "services.cli.main", "certgen", "--kubernetes", "--namespace", namespace]
    environment = {"KUBECONFIG": str(cluster.kubeconfig)}
    first = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "wrote Secret envoy-gateway" in first.stdout
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == ""
    lost = subprocess.run(command, env={"KUBECONFIG": "/nonexistent"}, capture_output=True, text=True, check=False)
    assert lost.returncode == exits.UNREACHABLE
    assert "Traceback" not in lost.stderr
