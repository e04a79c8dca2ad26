"""The custom resource definitions that `headgate crds` prints, in a real API server: taken, and kept to."""

from __future__ import annotations

from typing import Any

import pytest

from shared.api import crds
from tests.kube.apiserver import ApiServer

GROUP = f"{crds.GROUP}/{crds.VERSION}"


def put(cluster: ApiServer, namespace: str, kind: str, spec: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    plural = crds.definition(kind)["spec"]["names"]["plural"]
    body = {"apiVersion": GROUP, "kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": spec}
    answer = cluster.http.post(
        f"/apis/{GROUP}/namespaces/{namespace}/{plural}", json=body, params={"dryRun": "All", "fieldValidation": "Strict"}
    )
    return answer.is_success, answer.json()


def test_every_rule_is_one_that_the_server_understands(cluster: ApiServer) -> None:
    for kind in crds.KINDS:
        name = crds.definition(kind)["metadata"]["name"]
        found = cluster.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        conditions = {c["type"]: c["status"] for c in found["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        ("Backend", {"endpoints": [{"zone": "a"}]}, "one of fqdn, ip or unix must be specified"),
        ("Backend", {"endpoints": [{"fqdn": {"hostname": "UPPER", "port": 1}}]}, "should match"),
        ("BackendTrafficPolicy", {"retry": {}}, "either targetRef or targetRefs must be used"),
        ("EnvoyProxy", {"provider": {"type": "Odd"}}, "Unsupported value"),
        ("SecurityPolicy", {"nothing": {}}, "unknown field"),
    ],
)
def test_what_is_wrong_is_refused(cluster: ApiServer, namespace: str, kind: str, spec: dict[str, Any], says: str) -> None:
    taken, answer = put(cluster, namespace, kind, spec)
    assert not taken
    assert says in answer["message"]


def test_what_is_not_said_is_filled_in(cluster: ApiServer, namespace: str) -> None:
    taken, answer = put(cluster, namespace, "Backend", {"endpoints": [{"ip": {"address": "10.0.0.1", "port": 80}}]})
    assert taken, answer
    assert answer["spec"]["type"] == "Endpoints"
