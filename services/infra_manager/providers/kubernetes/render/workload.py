"""What runs a fleet's pods: a Deployment or a DaemonSet, how many of them, and how many may be away."""

from __future__ import annotations

from services.infra_manager.providers.kubernetes.render.kinds import AUTOSCALER, BUDGET, DAEMON_SET, DEPLOYMENT
from services.infra_manager.providers.kubernetes.render.merging import patched
from services.infra_manager.providers.kubernetes.render.naming import Fleet
from services.infra_manager.providers.kubernetes.render.plan import JSON, Manifest, manifest
from services.infra_manager.providers.kubernetes.render.pod import template

CPU_AT_80 = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]


def workloads(fleet: Fleet) -> tuple[Manifest, ...]:
    """A Deployment unless only a DaemonSet is asked for. CannotRender."""
    made = []
    if (asked := fleet.kube.get("envoyDaemonSet")) is not None:
        made.append(_daemon_set(fleet, asked))
    if (asked := fleet.kube.get("envoyDeployment")) is not None or not made:
        made.append(_deployment(fleet, asked or {}))
    return tuple(made)


def scaling(fleet: Fleet) -> tuple[Manifest, ...]:
    """CannotRender."""
    made = []
    deployment = fleet.kube.get("envoyDeployment")
    if (asked := fleet.kube.get("envoyHpa")) is not None and (deployment is not None or fleet.kube.get("envoyDaemonSet") is None):
        target = (deployment or {}).get("name") or fleet.name
        metadata = fleet.metadata(asked.get("name"), fleet.selector)
        made.append(manifest(patched(autoscaler(metadata, target, asked), asked.get("patch"), "envoyHpa")))
    asked = fleet.kube.get("envoyPDB") or {}
    if any(asked.get(f) is not None for f in ("minAvailable", "maxUnavailable", "patch")):
        metadata = {**fleet.metadata(asked.get("name"), fleet.selector), "annotations": None}
        made.append(manifest(patched(budget(metadata, fleet.selector, asked), asked.get("patch"), "envoyPDB")))
    return tuple(made)


def deployment(metadata: JSON, selector: dict[str, str], asked: JSON, pod: JSON, *, scaled: bool) -> JSON:
    """`scaled`: an autoscaler decides how many."""
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.kind,
        "metadata": metadata,
        "spec": {
            "replicas": None if scaled else asked.get("replicas"),
            "strategy": asked.get("strategy") or {"type": "RollingUpdate"},
            "selector": {"matchLabels": selector},
            "template": pod,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
        },
    }


def autoscaler(metadata: JSON, target: str, asked: JSON) -> JSON:
    return {
        "apiVersion": AUTOSCALER.api_version,
        "kind": AUTOSCALER.kind,
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind, "name": target},
            "minReplicas": asked.get("minReplicas"),
            "maxReplicas": asked.get("maxReplicas") or 1,
            "metrics": asked.get("metrics") or CPU_AT_80,
            "behavior": asked.get("behavior"),
        },
    }


def budget(metadata: JSON, selector: dict[str, str], asked: JSON) -> JSON:
    limit = next(({f: asked[f]} for f in ("minAvailable", "maxUnavailable") if asked.get(f) is not None), {"minAvailable": 0})
    spec = {"selector": {"matchLabels": selector}, **limit}
    return {"apiVersion": BUDGET.api_version, "kind": BUDGET.kind, "metadata": metadata, "spec": spec}


def _deployment(fleet: Fleet, asked: JSON) -> Manifest:
    pod = template(fleet, asked, init=True)
    scaled = fleet.kube.get("envoyHpa") is not None
    body = deployment(fleet.metadata(asked.get("name")), fleet.selector, asked, pod, scaled=scaled)
    return manifest(patched(body, asked.get("patch"), "envoyDeployment"))


def _daemon_set(fleet: Fleet, asked: JSON) -> Manifest:
    spec = {
        "selector": {"matchLabels": fleet.selector},
        "updateStrategy": asked.get("strategy") or {"type": "RollingUpdate"},
        "template": template(fleet, asked, init=False),
    }
    body = {"apiVersion": DAEMON_SET.api_version, "kind": DAEMON_SET.kind, "metadata": fleet.metadata(asked.get("name")), "spec": spec}
    return manifest(patched(body, asked.get("patch"), "envoyDaemonSet"))
