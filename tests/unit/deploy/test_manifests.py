"""The installation, checked without a cluster: pods that may do little, permissions that are no wider than what the code does."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from services.cli.cluster_secrets import WEBHOOK, kits
from shared.bus.permissions import TABLE
from shared.core.kinds import KINDS
from shared.runtime import load
from shared.runtime.settings import SERVICES, XDS_PORT
from tests.plurals import plural
from tests.unit.deploy.manifests import CHART, DEPLOY, documents, of_kind, pod, workloads

NAMESPACE = "envoy-gateway-system"
PODS = [*(f"headgate-{s}" for s in SERVICES), "headgate-nats", "headgate-certgen"]
HELM = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not on PATH")


def render_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render", DEPLOY / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_service_is_there_and_nothing_else_runs() -> None:
    assert sorted(workloads()) == sorted(PODS)


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_restricted(name: str) -> None:
    """The profile `restricted` of Kubernetes' pod security standards, and a root file system that cannot be written."""
    spec = pod(name)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["enableServiceLinks"] is False
    assert not any("hostPath" in v for v in spec.get("volumes", ()))
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("name", [n for n in PODS if n != "headgate-certgen"])
def test_a_pod_that_runs_on_is_probed(name: str) -> None:
    for container in pod(name)["containers"]:
        ports = {p["name"] for p in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
    assert name in of_kind("PodDisruptionBudget")
    assert name in of_kind("NetworkPolicy")


def test_only_those_who_need_the_api_server_are_known_to_it() -> None:
    bound = {s["name"] for b in of_kind("RoleBinding", "ClusterRoleBinding").values() for s in b["subjects"]}
    assert bound == {"headgate-resource-watcher", "headgate-infra-manager", "headgate-certgen"}
    with_token = {pod(n).get("serviceAccountName") for n in PODS if pod(n)["automountServiceAccountToken"]}
    assert with_token == bound


def rules(*names: str) -> list[dict[str, Any]]:
    return [r for role in of_kind("Role", "ClusterRole").values() if role["metadata"]["name"] in names for r in role["rules"]]


def test_no_role_has_a_wildcard() -> None:
    every = rules(*of_kind("Role", "ClusterRole"))
    assert every
    assert not [r for r in every if "*" in (*r["apiGroups"], *r["resources"], *r["verbs"])]


def test_resource_watcher_may_read_every_kind_that_it_watches_and_change_only_statuses() -> None:
    """And a class, from which it takes Envoy Gateway's finalizer."""
    own = rules(f"headgate:{NAMESPACE}:resource-watcher")
    read = {(g, r) for rule in own if {"get", "list", "watch"} == set(rule["verbs"]) for g in rule["apiGroups"] for r in rule["resources"]}
    assert read == {(group, plural(kind)) for group, kind in KINDS}
    changed = {r for rule in own if set(rule["verbs"]) - {"get", "list", "watch"} for r in rule["resources"]}
    assert {r for r in changed if not r.endswith("/status")} == {"gatewayclasses"}
    assert changed - {"gatewayclasses"}


def test_certgen_makes_every_secret_that_is_mounted() -> None:
    made = {name for kit in kits(NAMESPACE, "cluster.local") for name in kit.names}
    mounted = {v["secret"]["secretName"] for n in PODS for v in pod(n).get("volumes", ()) if "secret" in v}
    assert mounted <= made
    assert {f"headgate-bus-{s}" for s in SERVICES} <= mounted
    for service in SERVICES:
        others = {f"headgate-bus-{s}" for s in TABLE if s != service}
        assert not others & {v["secret"]["secretName"] for v in pod(f"headgate-{service}")["volumes"] if "secret" in v}


def test_the_webhook_is_the_one_that_certgen_knows() -> None:
    (name,) = of_kind("MutatingWebhookConfiguration")
    assert name == f"{WEBHOOK}.{NAMESPACE}"
    service = of_kind("MutatingWebhookConfiguration")[name]["webhooks"][0]["clientConfig"]["service"]["name"]
    assert service in of_kind("Service")


def test_the_configuration_is_one_that_services_take(tmp_path: Path) -> None:
    file = tmp_path / "envoy-gateway.yaml"
    file.write_text(of_kind("ConfigMap")["envoy-gateway-config"]["data"]["envoy-gateway.yaml"])
    config = load.load(file)
    assert config.provider.type == "Kubernetes"
    assert config.bus.tls is not None
    mounts = {m["mountPath"] for m in pod("headgate-translator")["containers"][0]["volumeMounts"]}
    assert str(Path(config.bus.tls.cert).parent) in mounts
    assert {str(Path(f).parent) for f in config.bus.sealing_key_files} <= mounts


def test_proxies_find_xds_where_envoy_gateway_has_it() -> None:
    service = of_kind("Service")["envoy-gateway"]
    assert {p["name"]: p["port"] for p in service["spec"]["ports"]} == {
        "grpc": XDS_PORT,
        "ratelimit": 18001,
        "wasm": 18002,
        "metrics": 19001,
    }
    labels = workloads()["headgate-xds-server"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_what_nats_allows_is_what_the_code_says() -> None:
    wanted = render_module().nats_users()
    assert (CHART / "files" / "nats-users.conf").read_text() == wanted, "./taskw manifests"
    assert of_kind("ConfigMap")["headgate-nats"]["data"]["users.conf"].strip() == wanted.strip(), "./taskw manifests"


def test_everything_stands_in_one_namespace_or_bears_its_name() -> None:
    for document in documents():
        metadata = document["metadata"]
        assert metadata.get("namespace") == NAMESPACE or NAMESPACE in metadata["name"], metadata["name"]


@HELM
def test_the_base_is_what_the_chart_gives() -> None:
    assert render_module().main(["--check"]) == 0


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
def test_overlays_build_on_the_base() -> None:
    for overlay, replicas in (("base", {1}), ("overlays/high-availability", {2})):
        command = ["kubectl", "kustomize", str(DEPLOY / overlay)]
        made = list(yaml.safe_load_all(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        assert {(d["kind"], d["metadata"]["name"]) for d in made} >= {(d["kind"], d["metadata"]["name"]) for d in documents()}
        assert {d["spec"]["replicas"] for d in made if d["kind"] == "Deployment"} == replicas


VARIANTS = {
    "three": ["nats.replicas=3", "nats.persistence.enabled=true", "deployment.replicas=2"],
    "external": ["nats.enabled=false", "nats.external.urls={tls://nats.example.com:4222}"],
    "creds": ["nats.enabled=false", "nats.external.urls={tls://nats.example.com:4222}", "nats.external.auth=creds"],
    "plain": ["topologyInjector.enabled=false", "networkPolicy.enabled=false", "createNamespace=true", "hpa.enabled=true"],
    "registry": ["global.imageRegistry=registry.example.com", "global.imagePullSecrets[0].name=pull"],
    "everywhere": ["config.envoyGateway.provider.kubernetes.deploy.type=GatewayNamespace"],
    "own": ["services.xds-server.replicas=3", "config.envoyGateway.extensionApis.enableBackend=true", "namespaceOverride=other"],
}


@HELM
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_values_give_manifests_and_a_configuration_that_services_take(variant: str, tmp_path: Path) -> None:
    arguments = [a for v in VARIANTS[variant] for a in ("--set", v)]
    made = [d for d in yaml.safe_load_all(render_module().template(*arguments)) if d]
    found = {(d["kind"], d["metadata"]["name"]): d for d in made}
    file = tmp_path / "envoy-gateway.yaml"
    file.write_text(found["ConfigMap", "envoy-gateway-config"]["data"]["envoy-gateway.yaml"])
    config = load.load(file)
    replicas = {s: found["Deployment", f"headgate-{s}"]["spec"].get("replicas") for s in SERVICES}
    match variant:
        case "three":
            assert config.bus.replicas == 3
            assert set(replicas.values()) == {2}
            assert "headgate-nats-2.headgate-nats-headless" in found["ConfigMap", "headgate-nats"]["data"]["nats.conf"]
        case "external" | "creds":
            assert config.bus.urls == ("tls://nats.example.com:4222",)
            assert bool(config.bus.credentials_file) is (variant == "creds")
            assert ("StatefulSet", "headgate-nats") not in found
            assert "--external-nats" in found["Job", "headgate-certgen"]["spec"]["template"]["spec"]["containers"][0]["args"]
        case "plain":
            assert not {"NetworkPolicy", "MutatingWebhookConfiguration"} & {k for k, _ in found}
            assert replicas["xds-server"] is None
            assert ("Namespace", NAMESPACE) in found
        case "registry":
            images = {c["image"] for d in made if "template" in d.get("spec", {}) for c in d["spec"]["template"]["spec"]["containers"]}
            assert all(i.startswith("registry.example.com/") for i in images)
        case "everywhere":
            assert ("ClusterRole", f"headgate:{NAMESPACE}:infra-manager") in found
        case "own":
            assert replicas == {"resource-watcher": 1, "translator": 1, "xds-server": 3, "infra-manager": 1}
            assert config.extension_apis.enable_backend
            assert {d["metadata"].get("namespace", "other") for d in made} == {"other"}


@HELM
def test_a_wrong_value_is_told() -> None:
    with pytest.raises(subprocess.CalledProcessError) as e:
        render_module().template("--set", "nats.enabled=false")
    assert "nats.external.urls is required" in e.value.stderr


def test_definitions_of_the_chart_are_what_rooms_and_kinds_say() -> None:
    made = render_module().definitions()
    assert {p.name: p.read_text() for p in (CHART / "crds").iterdir()} == {p.name: text for p, text in made.items()}
