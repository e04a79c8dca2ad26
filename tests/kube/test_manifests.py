"""The installation, as an API server sees it: every manifest is one that it would take."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import yaml

from tests.kube.apiserver import ApiServer

BASE = Path(__file__).parents[2] / "deploy" / "k8s" / "base" / "install.yaml"
NAMESPACE = "envoy-gateway-system"
DOCUMENTS = list(yaml.safe_load_all(BASE.read_text()))
_PLURALS = {"NetworkPolicy": "networkpolicies"}


@pytest.fixture(scope="module")
def restricted(cluster: ApiServer) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    cluster.apply("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: f"{d['kind']}-{d['metadata']['name']}")
def test_the_server_takes_it_without_a_warning(cluster: ApiServer, restricted: None, document: dict[str, object]) -> None:
    version, kind = str(document["apiVersion"]), str(document["kind"])
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    plural = _PLURALS.get(kind, kind.lower() + "s")
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    answer: httpx.Response = cluster.http.patch(
        f"/{'apis' if '/' in version else 'api'}/{version}{inside}/{plural}/{metadata['name']}",
        params={"fieldManager": "test", "dryRun": "All", "fieldValidation": "Strict"},
        content=yaml.safe_dump(document),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert answer.is_success, answer.text
    assert "warning" not in answer.headers, answer.headers["warning"]
