"""The SPIFFE example's CustomResourceDefinition and manifests in a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kube.apiserver import ApiServer
from tests.kube.dry_run import applies, says_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "spiffe"
PATH = "/apis/spiffe.headgate.dev/v1alpha1"
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}


@pytest.fixture(scope="module")
def installed(cluster: ApiServer) -> ApiServer:
    cluster.install(EXAMPLE / "crd.yaml")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "envoy-gateway-system"}}
    cluster.apply("/api/v1/namespaces", namespace)
    return cluster


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, ""),
        ({"trustDomain": "Not.one"}, "spec.trustDomain"),
        ({"workload": "a//b"}, "spec.workload"),
        ({"targetRefs": [GATEWAY | {"sectionName": "http"}]}, "a policy is for a whole Gateway"),
        ({"targetRefs": []}, "spec.targetRefs"),
        ({"unknown": 1}, "unknown field"),
    ],
)
def test_a_wrong_policy_is_refused(installed: ApiServer, namespace: str, spec: dict[str, Any], says: str) -> None:
    base = {"targetRefs": [GATEWAY], "trustDomain": "example.org", "workload": "ns/a/sa/b", "backends": ["ns/c/sa/d"]}
    body = {"apiVersion": "spiffe.headgate.dev/v1alpha1", "kind": "BackendMTLSPolicy", "metadata": {"name": "p"}, "spec": base | spec}
    path = f"{PATH}/namespaces/{namespace}/backendmtlspolicies"
    says_of(installed, path, body, says)


@pytest.mark.parametrize("document", list(yaml.safe_load_all((EXAMPLE / "kubernetes.yaml").read_text())), ids=lambda d: str(d["kind"]))
def test_the_server_takes_the_manifests(installed: ApiServer, document: dict[str, Any]) -> None:
    applies(installed, document)
