"""A proxy's pod: Envoy, and beside it the shutdown manager that lets it end without cutting off anybody."""

from __future__ import annotations

from collections.abc import Iterable

from services.infra_manager.providers.kubernetes.render.naming import Fleet
from services.infra_manager.providers.kubernetes.render.plan import JSON
from services.infra_manager.providers.kubernetes.render.starting import (
    POD_NAME,
    POD_NAMESPACE,
    READY_PORT,
    SHUTDOWN_PORT,
    STATS_PORT,
    ZONE,
    arguments,
    prometheus,
    shutdown_seconds,
)
from shared.bootstrap.default import CERTIFICATE_FILE, TOKEN_FILE, TRUSTED_CA_FILE
from shared.core import durations

SECRET = "envoy"
"""Holds the certificate of every proxy of ours, in the control plane's namespace."""
AUTHORITY = "ca.crt"
TOKEN_FOLDER = "/var/run/secrets/token"
TOKEN_PATH = f"{TOKEN_FOLDER}/sa-token"
ZONE_LABEL = "topology.kubernetes.io/zone"
USER = 65532
_READABLE = 0o644


def template(fleet: Fleet, asked: JSON, *, init: bool) -> JSON:
    """Pod template of a Deployment or DaemonSet; `asked` is its part of EnvoyProxy. CannotRender."""
    pod, container = asked.get("pod") or {}, asked.get("container") or {}
    return {
        "metadata": {
            "labels": fleet.labels | (pod.get("labels") or {}) | fleet.selector,
            "annotations": _annotations(fleet, pod) or None,
        },
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [envoy(fleet, container), shutdown_manager(fleet, container)],
            "initContainers": (asked.get("initContainers") or None) if init else None,
            "serviceAccountName": fleet.service_account,
            "terminationGracePeriodSeconds": _grace_seconds(fleet),
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": pod.get("securityContext"),
            "affinity": pod.get("affinity"),
            "tolerations": pod.get("tolerations"),
            "volumes": laid_over(_volumes(fleet), pod.get("volumes")),
            "imagePullSecrets": pod.get("imagePullSecrets"),
            "nodeSelector": pod.get("nodeSelector"),
            "topologySpreadConstraints": pod.get("topologySpreadConstraints"),
            "priorityClassName": pod.get("priorityClassName"),
        },
    }


def envoy(fleet: Fleet, container: JSON) -> JSON:
    stats = [{"name": "metrics", "containerPort": STATS_PORT, "protocol": "TCP"}] if prometheus(fleet) else []
    mounts: list[JSON] = [{"name": "certs", "mountPath": "/certs", "readOnly": True}, {"name": "sds", "mountPath": "/sds"}]
    if fleet.by_token:
        mounts.append({"name": "sa-token", "mountPath": TOKEN_FOLDER, "readOnly": True})
    return {
        "name": "envoy",
        "image": image(container, fleet.options.envoy_image),
        "imagePullPolicy": "IfNotPresent",
        "command": ["envoy"],
        "args": arguments(fleet, container),
        "env": laid_over(_environment(), container.get("env")),
        "resources": resources(container, cpu="100m", memory="512Mi"),
        "securityContext": container.get("securityContext") or security_context(USER),
        "ports": [*stats, {"name": "readiness", "containerPort": READY_PORT, "protocol": "TCP"}],
        "volumeMounts": laid_over(mounts, container.get("volumeMounts")),
        **_TERMINATION,
        "startupProbe": probe("/ready", READY_PORT, 10, 30),
        "readinessProbe": probe("/ready", READY_PORT, 5, 1),
        "livenessProbe": probe("/ready", READY_PORT, 10, 3),
        "lifecycle": {"preStop": {"httpGet": {"path": "/shutdown/ready", "port": SHUTDOWN_PORT, "scheme": "HTTP"}}},
    }


def shutdown_manager(fleet: Fleet, container: JSON) -> JSON:
    drain = shutdown_seconds(fleet, "drainTimeout")
    waits = [f"--ready-timeout={drain + 10:.0f}s"] if drain is not None else []
    return {
        "name": "shutdown-manager",
        "image": fleet.options.own_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["headgate"],
        "args": ["envoy", "shutdown-manager", *waits],
        "env": _environment(),
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": container.get("securityContext") or security_context(USER),
        **_TERMINATION,
        "startupProbe": probe("/healthz", SHUTDOWN_PORT, 10, 30),
        "readinessProbe": probe("/healthz", SHUTDOWN_PORT, 10, 3),
        "livenessProbe": probe("/healthz", SHUTDOWN_PORT, 10, 3),
        "lifecycle": {"preStop": {"exec": {"command": ["headgate", "envoy", "shutdown", *_shutdown_arguments(fleet)]}}},
    }


def image(container: JSON, usual: str) -> str:
    """As asked for; a repository alone gets the usual image's tag."""
    if repository := container.get("imageRepository"):
        return f"{repository}:{usual.rpartition(':')[2]}"
    found: str = container.get("image") or usual
    return found


def resources(container: JSON, *, cpu: str, memory: str) -> JSON:
    found: JSON | None = container.get("resources")
    return found if found is not None else {"requests": {"cpu": cpu, "memory": memory}}


def security_context(user: int, *, read_only: bool = False) -> JSON:
    """As little as possible: what Kubernetes calls restricted."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True if read_only else None,
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def probe(path: str, port: int, period: int, failures: int) -> JSON:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": period,
        "successThreshold": 1,
        "failureThreshold": failures,
    }


_TERMINATION = {"terminationMessagePolicy": "File", "terminationMessagePath": "/dev/termination-log"}


def _annotations(fleet: Fleet, pod: JSON) -> dict[str, str]:
    scrape = {"path": "/stats/prometheus", "scrape": "true", "port": str(STATS_PORT)} if prometheus(fleet) else {}
    return {f"prometheus.io/{k}": v for k, v in scrape.items()} | (fleet.annotations or {}) | (pod.get("annotations") or {})


def _environment() -> list[JSON]:
    fields = {POD_NAMESPACE: "metadata.namespace", POD_NAME: "metadata.name", ZONE: f"metadata.annotations['{ZONE_LABEL}']"}
    return [{"name": n, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}} for n, path in fields.items()]


def _volumes(fleet: Fleet) -> list[JSON]:
    files = (TRUSTED_CA_FILE, TOKEN_FILE if fleet.by_token else CERTIFICATE_FILE)
    sds = {"name": "sds", "configMap": _of_config_map(fleet, files)}
    if not fleet.by_token:
        return [{"name": "certs", "secret": {"secretName": SECRET, "defaultMode": _READABLE}}, sds]
    token = {"path": "sa-token", "audience": fleet.options.control_plane, "expirationSeconds": 3600}
    return [
        {"name": "sa-token", "projected": {"sources": [{"serviceAccountToken": token}], "defaultMode": _READABLE}},
        {"name": "certs", "configMap": _of_config_map(fleet, (AUTHORITY,))},
        sds,
    ]


def _of_config_map(fleet: Fleet, files: Iterable[str]) -> JSON:
    return {"name": fleet.name, "items": [{"key": f, "path": f} for f in files], "defaultMode": _READABLE, "optional": False}


def _grace_seconds(fleet: Fleet) -> int:
    """Five minutes longer than the drain may take."""
    drain = shutdown_seconds(fleet, "drainTimeout")
    return 360 if drain is None else int(drain + 300)


def _shutdown_arguments(fleet: Fleet) -> list[str]:
    delay, drain, least = (shutdown_seconds(fleet, f) for f in ("healthCheckFailureDelay", "drainTimeout", "minDrainDuration"))
    return [
        *([f"--health-check-failure-delay={durations.show(round(delay * 1e9))}"] if delay is not None else []),
        *([f"--drain-timeout={drain:.0f}s"] if drain is not None else []),
        *([f"--min-drain-duration={least:.0f}s"] if least is not None else []),
    ]


def laid_over(under: list[JSON], over: list[JSON] | None) -> list[JSON]:
    """Members with a name that is there take its place, others follow."""
    made = list(under)
    for member in over or ():
        at = next((n for n, m in enumerate(made) if m["name"] == member.get("name")), None)
        if at is None:
            made.append(member)
        else:
            made[at] = member
    return made
