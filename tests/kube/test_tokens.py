"""Service accounts' tokens, as a real API server gives them and judges them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.core.accounts import Account, CannotTell
from shared.kube.tokens import Reviewer
from tests.kube.apiserver import ApiServer

AUDIENCE = "envoy-gateway.envoy-gateway-system.svc.cluster.local"


@pytest.fixture
async def reviewer(cluster: ApiServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reviewer]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    made = Reviewer(AUDIENCE)
    yield made
    await made.aclose()


def token(cluster: ApiServer, namespace: str, audience: str = AUDIENCE, pod: str = "") -> str:
    base = f"/api/v1/namespaces/{namespace}"
    cluster.apply(f"{base}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "eg"}})
    spec: dict[str, Any] = {"audiences": [audience]}
    if pod:
        containers = [{"name": "envoy", "image": "envoy"}]
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod},
            "spec": {"serviceAccountName": "eg", "containers": containers},
        }
        cluster.apply(f"{base}/pods", body)
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": pod}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = cluster.http.post(f"{base}/serviceaccounts/eg/token", json=request)
    assert answer.is_success, answer.text
    found: str = answer.json()["status"]["token"]
    return found


async def test_a_token_tells_its_account_and_its_pod(cluster: ApiServer, namespace: str, reviewer: Reviewer) -> None:
    assert await reviewer(token(cluster, namespace, pod="proxy-1")) == Account(namespace, "eg", "proxy-1")
    assert await reviewer(token(cluster, namespace)) == Account(namespace, "eg")


async def test_tokens_for_others_and_forged_ones_prove_nothing(cluster: ApiServer, namespace: str, reviewer: Reviewer) -> None:
    assert await reviewer(token(cluster, namespace, audience="somebody-else")) is None
    assert await reviewer("forged") is None


async def test_without_an_api_server_nobody_can_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    reviewer = Reviewer(AUDIENCE)
    with pytest.raises(CannotTell):
        await reviewer("any")
    await reviewer.aclose()
