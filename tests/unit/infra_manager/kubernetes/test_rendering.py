"""IR -> manifests: the names, labels and defaults that users of Envoy Gateway know, and each field of an EnvoyProxy."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes.render.fleet import render
from services.infra_manager.providers.kubernetes.render.naming import hashed_name
from services.infra_manager.providers.kubernetes.render.options import KubeOptions
from shared.features.client.http3.ir import Http3
from shared.ir.destination import Destination, DestinationSetting, Endpoint
from shared.ir.infra import Infra, OwnerReference
from shared.ir.telemetry import MetricSink
from tests.unit.infra_manager.kubernetes.fleets import HASHED, OPTIONS, OWNER, envoy, fleet, listener, objects, option, planned, pod

APP = {"app.kubernetes.io/component": "proxy", "app.kubernetes.io/managed-by": "envoy-gateway", "app.kubernetes.io/name": "envoy"}


def test_names_are_hashed_as_envoy_gateway_does() -> None:
    assert hashed_name("default") == "envoy-default-37a8eec1"
    assert hashed_name("envoy-gateway-system/eg") == "envoy-envoy-gateway-system-eg-5391c79d"
    long = hashed_name("n" * 47 + "/gateway")
    assert long.startswith(f"envoy-{'n' * 47}-")
    assert len(long) == len("envoy-") + 47 + 1 + 8


def test_a_plain_fleet_is_four_objects() -> None:
    plan, found = planned(fleet()), objects(fleet())
    assert [m.ref.kind for m in plan.manifests] == ["ServiceAccount", "ConfigMap", "Deployment", "Service"]
    assert {(m.ref.namespace, m.ref.name) for m in plan.manifests} == {("envoy-gateway-system", HASHED)}
    assert all(o["metadata"]["labels"] == APP | OWNER for o in found.values())
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == APP | OWNER
    assert found["Service"]["spec"] == {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "sessionAffinity": "None",
        "selector": APP | OWNER,
        "ports": [{"name": "http-80", "port": 80, "protocol": "TCP", "targetPort": 10080}],
    }
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    assert plan.owner is not None
    assert (plan.owner.kind, plan.owner.name) == ("GatewayClass", "eg")


def test_equal_wishes_are_equal_plans() -> None:
    assert planned(fleet()) == planned(fleet())
    one, other = planned(fleet()), planned(fleet({"envoyDeployment": {"replicas": 2}}))
    changed = {a.ref.kind for a, b in zip(one.manifests, other.manifests, strict=True) if a.digest != b.digest}
    assert changed == {"Deployment"}


def test_pods_change_only_for_what_needs_a_restart() -> None:
    """Listeners come over xDS, certificates by files that Envoy follows."""
    before = objects(fleet())["Deployment"]
    more = fleet(listeners=(listener(), listener("https-443", "HTTPS", 443, 10443)), addresses=("10.0.0.1",))
    assert objects(more)["Deployment"] == before
    assert objects(fleet({"envoyDeployment": {"replicas": 5}}))["Deployment"]["spec"]["template"] == before["spec"]["template"]
    assert objects(fleet(spec={"concurrency": 2}))["Deployment"]["spec"]["template"] != before["spec"]["template"]


def test_the_files_of_a_pod_lead_to_its_certificates() -> None:
    found = objects(fleet())
    volumes = {v["name"]: v for v in pod(found["Deployment"])["volumes"]}
    assert volumes["certs"]["secret"]["secretName"] == "envoy"
    keys = {i["key"] for i in volumes["sds"]["configMap"]["items"]}
    assert volumes["sds"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert keys == set(found["ConfigMap"]["data"]) == {"xds-certificate.json", "xds-trusted-ca.json"}
    assert "/certs/tls.key" in found["ConfigMap"]["data"]["xds-certificate.json"]


def test_envoy_is_started_as_envoy_gateway_starts_it() -> None:
    container = envoy(fleet())
    assert container["command"] == ["envoy"]
    assert option(container, "--service-cluster") == "default/gw"
    assert option(container, "--service-node") == "$(ENVOY_POD_NAME)"
    assert option(container, "--component-log-level") == "misc:error"
    assert option(container, "--drain-time-s") == "60"
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "512Mi"}}
    bootstrap = yaml.safe_load(option(container, "--config-yaml") or "")
    assert bootstrap["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 19000}
    assert bootstrap["cluster_manager"]["local_cluster_name"] == "default/gw"
    xds = bootstrap["static_resources"]["clusters"][-1]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
    address = {"address": "envoy-gateway.envoy-gateway-system.svc.cluster.local.", "port_value": 18000}
    assert xds["endpoint"]["address"]["socket_address"] == address


def test_settings_of_the_proxy_reach_its_command_line() -> None:
    spec = {
        "logging": {"level": {"default": "debug", "upstream": "trace", "admin": "error"}},
        "concurrency": 4,
        "extraArgs": ["--disable-extensions", "x"],
        "shutdown": {"drainTimeout": "30s", "minDrainDuration": "15s", "healthCheckFailureDelay": "1500ms"},
        "bootstrap": {"type": "JSONPatch", "jsonPatches": [{"op": "add", "path": "/node/locality/region", "value": "r"}]},
    }
    container = envoy(fleet(spec=spec))
    assert option(container, "--log-level") == "debug"
    assert option(container, "--component-log-level") == "admin:error,upstream:trace"
    assert option(container, "--concurrency") == "4"
    assert option(container, "--drain-time-s") == "30"
    assert container["args"][-2:] == ["--disable-extensions", "x"]
    assert yaml.safe_load(option(container, "--config-yaml") or "")["node"]["locality"]["region"] == "r"
    found = pod(objects(fleet(spec=spec))["Deployment"])
    assert found["terminationGracePeriodSeconds"] == 330
    manager = found["containers"][1]
    assert manager["args"] == ["envoy", "shutdown-manager", "--ready-timeout=40s"]
    assert manager["lifecycle"]["preStop"]["exec"]["command"] == [
        *("headgate", "envoy", "shutdown"),
        *("--health-check-failure-delay=1.5s", "--drain-timeout=30s", "--min-drain-duration=15s"),
    ]


def test_without_prometheus_nothing_is_shown_to_it() -> None:
    found = objects(fleet(spec={"telemetry": {"metrics": {"prometheus": {"disable": True}}}}))["Deployment"]
    assert "annotations" not in found["spec"]["template"]["metadata"]
    container = pod(found)["containers"][0]
    assert [p["name"] for p in container["ports"]] == ["readiness"]
    assert "listeners" not in yaml.safe_load(option(container, "--config-yaml") or "")["static_resources"]


def test_statistics_go_where_the_proxy_says() -> None:
    setting = DestinationSetting(endpoints=(Endpoint(host="otel.example", port=4317),))
    sinks = (MetricSink(destination=Destination(name="m", settings=(setting,))), MetricSink(destination=Destination(name="none")))
    made = yaml.safe_load(option(envoy(fleet(resolved_metric_sinks=sinks)), "--config-yaml") or "")
    (sink,) = made["stats_sinks"]
    name = sink["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"]
    assert name in {c["name"] for c in made["static_resources"]["clusters"]}


def test_heap_and_image_follow_the_container() -> None:
    def container(**asked: Any) -> dict[str, Any]:
        return envoy(fleet({"envoyDeployment": {"container": asked}}))

    limited = container(resources={"limits": {"memory": "1Gi"}})
    (_, heap) = yaml.safe_load(option(limited, "--config-yaml") or "")["overload_manager"]["resource_monitors"]
    assert heap["typed_config"]["max_heap_size_bytes"] == 858993459
    assert container(image="mine:1")["image"] == "mine:1"
    assert container(imageRepository="mirror.example/envoy")["image"] == "mirror.example/envoy:distroless-v1.40-latest"
    mount = {"name": "certs", "mountPath": "/elsewhere"}
    assert container(volumeMounts=[mount])["volumeMounts"][0] == mount
    env = container(env=[{"name": "ENVOY_POD_NAME", "value": "fixed"}, {"name": "NEW", "value": "1"}])["env"]
    assert [e["name"] for e in env] == ["ENVOY_POD_NAMESPACE", "ENVOY_POD_NAME", "ENVOY_SERVICE_ZONE", "NEW"]
    assert env[1] == {"name": "ENVOY_POD_NAME", "value": "fixed"}


def test_everything_of_a_pod_can_be_chosen() -> None:
    asked = {
        "annotations": {"a": "1", "prometheus.io/port": "1"},
        "labels": {"l": "1", "app.kubernetes.io/name": "mine"},
        "securityContext": {"runAsUser": 5},
        "affinity": {"nodeAffinity": {}},
        "tolerations": [{"key": "t"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "imagePullSecrets": [{"name": "s"}],
        "nodeSelector": {"n": "1"},
        "topologySpreadConstraints": [{"topologyKey": "zone"}],
        "priorityClassName": "high",
    }
    init = [{"name": "first", "image": "i"}]
    deployment = objects(fleet({"envoyDeployment": {"pod": asked, "initContainers": init, "strategy": {"type": "Recreate"}}}))["Deployment"]
    metadata, found = deployment["spec"]["template"]["metadata"], pod(deployment)
    assert metadata["annotations"] == {**metadata["annotations"], "a": "1", "prometheus.io/port": "1", "prometheus.io/scrape": "true"}
    assert metadata["labels"] == APP | OWNER | {"l": "1"}, "a label that selects pods is not for users to change"
    same = (
        "securityContext",
        "affinity",
        "tolerations",
        "imagePullSecrets",
        "nodeSelector",
        "topologySpreadConstraints",
        "priorityClassName",
    )
    assert {f: found[f] for f in same} == {f: asked[f] for f in same}
    assert [v["name"] for v in found["volumes"]] == ["certs", "sds", "v"]
    assert found["initContainers"] == init
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_infrastructure_labels_and_annotations_are_everywhere_but_select_nothing() -> None:
    found = objects(fleet(labels={"team": "a"}, annotations={"note": "b"}))
    assert all(o["metadata"]["labels"]["team"] == "a" for o in found.values())
    assert all(o["metadata"]["annotations"]["note"] == "b" for o in found.values())
    assert found["Deployment"]["spec"]["template"]["metadata"]["labels"]["team"] == "a"
    assert "team" not in found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert "team" not in found["Service"]["spec"]["selector"], "pods that are not yet labelled keep their clients"


@pytest.mark.parametrize(
    ("asked", "spec"),
    [
        ({"type": "NodePort"}, {"type": "NodePort", "externalTrafficPolicy": "Local"}),
        ({"type": "ClusterIP", "externalTrafficPolicy": "Cluster"}, {"type": "ClusterIP"}),
        (
            {
                "loadBalancerClass": "c",
                "loadBalancerIP": "192.0.2.1",
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "allocateLoadBalancerNodePorts": False,
                "externalTrafficPolicy": "Cluster",
            },
            {
                "type": "LoadBalancer",
                "loadBalancerClass": "c",
                "loadBalancerIP": "192.0.2.1",
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "allocateLoadBalancerNodePorts": False,
                "externalTrafficPolicy": "Cluster",
            },
        ),
        ({"type": "NodePort", "loadBalancerIP": "192.0.2.1"}, {"type": "NodePort", "externalTrafficPolicy": "Local"}),
    ],
)
def test_a_service_of_each_type(asked: dict[str, Any], spec: dict[str, Any]) -> None:
    found = objects(fleet({"envoyService": asked}))["Service"]["spec"]
    assert {k: v for k, v in found.items() if k not in ("ports", "selector", "sessionAffinity")} == spec


def test_addresses_are_the_services_own_or_external() -> None:
    def found(kind: str, *addresses: str) -> dict[str, Any]:
        spec: dict[str, Any] = objects(fleet({"envoyService": {"type": kind}}, addresses=addresses))["Service"]["spec"]
        return {k: v for k, v in spec.items() if k in ("clusterIP", "clusterIPs", "externalIPs")}

    assert found("ClusterIP", "10.0.0.1", "10.0.0.2") == {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}
    assert found("LoadBalancer", "10.0.0.1", "10.0.0.2") == {"externalIPs": ["10.0.0.1", "10.0.0.2"]}
    assert found("ClusterIP") == found("LoadBalancer") == {}


def test_both_families_and_http3_show_in_the_service() -> None:
    quic = listener("https-443", "HTTPS", 443, 10443, http3=Http3())
    found = objects(fleet(spec={"ipFamily": "DualStack"}, listeners=(quic, listener("dns", "UDP", 53, 10053))))["Service"]["spec"]
    assert found["ipFamilyPolicy"] == "RequireDualStack"
    assert [(p["name"], p["protocol"], p["port"]) for p in found["ports"]] == [
        ("https-443", "TCP", 443),
        ("https-443-h3", "UDP", 443),
        ("dns", "UDP", 53),
    ]


def test_names_labels_and_annotations_of_single_objects() -> None:
    asked = {
        "envoyService": {"name": "svc", "labels": {"s": "1"}, "annotations": {"t": "2"}},
        "envoyDeployment": {"name": "deploy"},
        "envoyServiceAccount": {"name": "account"},
        "envoyHpa": {"name": "hpa", "minReplicas": 2, "maxReplicas": 4},
        "envoyPDB": {"name": "pdb", "maxUnavailable": "50%"},
    }
    found = objects(fleet(asked))
    names = {k: o["metadata"]["name"] for k, o in found.items()}
    assert names == {
        "Service": "svc",
        "Deployment": "deploy",
        "ServiceAccount": "account",
        "ConfigMap": HASHED,
        "HorizontalPodAutoscaler": "hpa",
        "PodDisruptionBudget": "pdb",
    }
    assert found["Service"]["metadata"]["labels"]["s"] == "1"
    assert found["Service"]["metadata"]["annotations"]["t"] == "2"
    assert pod(found["Deployment"])["serviceAccountName"] == "account"
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "deploy"
    assert found["PodDisruptionBudget"]["spec"] == {"maxUnavailable": "50%", "selector": {"matchLabels": APP | OWNER}}


def test_an_autoscaler_owns_the_number_of_pods() -> None:
    found = objects(fleet({"envoyDeployment": {"replicas": 3}, "envoyHpa": {"maxReplicas": 9}}))
    assert "replicas" not in found["Deployment"]["spec"]
    (metric,) = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == 80


def test_a_daemon_set_in_place_of_a_deployment() -> None:
    found = objects(fleet({"envoyDaemonSet": {"pod": {"nodeSelector": {"edge": "1"}}}}))
    assert "Deployment" not in found
    assert pod(found["DaemonSet"])["nodeSelector"] == {"edge": "1"}
    assert found["DaemonSet"]["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


def test_in_its_gateways_namespace() -> None:
    options = OPTIONS._replace(by_namespace=True, authority="PEM")
    infra = fleet(name="gw", namespace="default", owner_reference=OwnerReference(kind="Gateway", name="gw"))
    plan, found = planned(infra, options), objects(infra, options)
    assert {(m.ref.namespace, m.ref.name) for m in plan.manifests} == {("default", "gw")}
    assert plan.owner == ("Gateway", "default", "gw")
    assert plan.guarded
    assert found["Deployment"]["spec"]["selector"]["matchLabels"]["gateway.networking.k8s.io/gateway-name"] == "gw"
    assert found["ConfigMap"]["data"]["ca.crt"] == "PEM"
    assert json.loads(found["ConfigMap"]["data"]["xds_service_account_token.json"])["resources"][0]["name"] == "jwt-sa-bearer"
    container = pod(found["Deployment"])["containers"][0]
    assert option(container, "--service-cluster") == "default/gw"
    volumes = {v["name"]: v for v in pod(found["Deployment"])["volumes"]}
    assert "secret" not in volumes["certs"], "no key of the control plane's namespace goes elsewhere"
    (source,) = volumes["sa-token"]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "envoy-gateway.envoy-gateway-system.svc.cluster.local"
    bootstrap = option(container, "--config-yaml") or ""
    assert "credential_injector" in bootstrap
    assert "xds_certificate" not in bootstrap


def test_without_zones_nothing_looks_for_its_own() -> None:
    made = yaml.safe_load(option(envoy(fleet(), OPTIONS._replace(zones=False)), "--config-yaml") or "")
    assert "cluster_manager" not in made


def test_the_control_plane_may_be_elsewhere() -> None:
    text = option(envoy(fleet(), KubeOptions(xds_host="xds.example", xds_port=1)), "--config-yaml") or ""
    assert "address: xds.example" in text


def test_without_listeners_nothing_changes_and_without_a_proxy_nothing_runs() -> None:
    plan = planned(fleet(listeners=()))
    assert plan.keep
    assert not plan.manifests
    assert render(Infra(), OPTIONS) is None


@pytest.mark.parametrize(
    ("infra", "says"),
    [
        (fleet(spec={"bootstrap": {"type": "Merge", "value": "{"}}), r"spec\.bootstrap"),
        (fleet(spec={"shutdown": {"drainTimeout": "soon"}}), r"spec\.shutdown\.drainTimeout"),
        (fleet({"envoyDeployment": {"container": {"resources": {"limits": {"memory": "much"}}}}}), "memory"),
        (fleet({"envoyService": {"patch": {"type": "Other", "value": {}}}}), r"envoyService\.patch\.type"),
        (fleet({"envoyDeployment": {"patch": {"value": "text"}}}), r"envoyDeployment\.patch\.value"),
        (fleet(config={"spec": {"provider": {"type": "Host"}}}), r"spec\.provider\.type"),
        (fleet(metadata=None), "whose"),
    ],
)
def test_what_cannot_be_run_says_why(infra: Infra, says: str) -> None:
    with pytest.raises(CannotRender, match=says):
        render(infra, OPTIONS)
