"""The service that counts requests for all proxies (envoyproxy/ratelimit): xds_server tells it what to count, Redis keeps the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from services.infra_manager.providers.kubernetes.render.kinds import CONFIG_MAP, SERVICE, SERVICE_ACCOUNT
from services.infra_manager.providers.kubernetes.render.merging import patched
from services.infra_manager.providers.kubernetes.render.naming import MANAGED
from services.infra_manager.providers.kubernetes.render.options import RATE_LIMIT_IMAGE, KubeOptions
from services.infra_manager.providers.kubernetes.render.plan import JSON, Manifest, Owner, Plan, manifest
from services.infra_manager.providers.kubernetes.render.pod import image, laid_over, probe, resources, security_context
from services.infra_manager.providers.kubernetes.render.workload import autoscaler, budget, deployment

NAME = "envoy-ratelimit"
SECRET = "envoy-rate-limit"
"""Its certificate, for proxies and towards xds_server."""
GRPC_PORT, HEALTH_PORT, METRICS_PORT = 8081, 8080, 19001
STATISTICS = "statsd-exporter-config"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "ratelimit", MANAGED[0]: MANAGED[1]}
_USER = 65534


class Asked:
    """The static configuration's part: `backend` and `telemetry` of `rateLimit`, and the provider's `rateLimitDeployment` and so on."""

    def __init__(
        self, backend: JSON | None, telemetry: JSON | None, config_port: int, workload: JSON | None, hpa: JSON | None, pdb: JSON | None
    ) -> None:
        self.redis: JSON = (backend or {}).get("redis") or {}
        self.redis_certificate: str = ((self.redis.get("tls") or {}).get("certificateRef") or {}).get("name") or ""
        metrics = (telemetry or {}).get("metrics") or {}
        self.prometheus = not (metrics.get("prometheus") or {}).get("disable")
        self.tracing: JSON = (telemetry or {}).get("tracing") or {}
        self.config_port = config_port
        self.workload = workload or {}
        self.pod: JSON = self.workload.get("pod") or {}
        self.container: JSON = self.workload.get("container") or {}
        self.hpa = hpa
        self.pdb = pdb


def render(asked: Asked, options: KubeOptions) -> Plan:
    """CannotRender."""
    objects = [_service_account(), _deployment(asked, options), _service(asked)]
    if asked.prometheus:
        objects.append(_config_map())
    if asked.hpa is not None:
        target = asked.workload.get("name") or NAME
        objects.append(patched(autoscaler(_metadata(asked.hpa.get("name")), target, asked.hpa), asked.hpa.get("patch"), "rateLimitHpa"))
    if asked.pdb is not None:
        objects.append(patched(budget(_metadata(asked.pdb.get("name")), LABELS, asked.pdb), asked.pdb.get("patch"), "rateLimitPDB"))
    return Plan(
        namespace=options.namespace,
        labels=tuple(sorted(LABELS.items())),
        owner=Owner("Service", options.namespace, "envoy-gateway"),
        manifests=tuple(_placed(each, options) for each in objects),
    )


def _placed(body: JSON, options: KubeOptions) -> Manifest:
    return manifest(body | {"metadata": body["metadata"] | {"namespace": options.namespace}})


def _metadata(name: str | None = None) -> JSON:
    return {"name": name or NAME, "labels": LABELS}


def _service_account() -> JSON:
    return {
        "apiVersion": SERVICE_ACCOUNT.api_version,
        "kind": SERVICE_ACCOUNT.kind,
        "metadata": _metadata(),
        "automountServiceAccountToken": False,
    }


def _service(asked: Asked) -> JSON:
    ports = {"http": GRPC_PORT} | ({"metrics": METRICS_PORT} if asked.prometheus else {})
    spec = {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "selector": LABELS,
        "ports": [{"name": name, "protocol": "TCP", "port": port, "targetPort": port} for name, port in ports.items()],
    }
    return {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": _metadata(), "spec": spec}


def _deployment(asked: Asked, options: KubeOptions) -> JSON:
    pod = asked.pod
    scrape = {"path": "/metrics", "port": str(METRICS_PORT), "scrape": "true"} if asked.prometheus else {}
    annotations = {f"prometheus.io/{k}": v for k, v in scrape.items()} | (pod.get("annotations") or {})
    template = {
        "metadata": {"labels": (pod.get("labels") or {}) | LABELS, "annotations": annotations or None},
        "spec": {
            "containers": [_container(asked, options)],
            "serviceAccountName": NAME,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 300,
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": pod.get("securityContext"),
            "volumes": laid_over(_volumes(asked), pod.get("volumes")),
            "affinity": pod.get("affinity"),
            "tolerations": pod.get("tolerations"),
            "imagePullSecrets": pod.get("imagePullSecrets"),
            "nodeSelector": pod.get("nodeSelector"),
            "topologySpreadConstraints": pod.get("topologySpreadConstraints"),
            "priorityClassName": pod.get("priorityClassName"),
        },
    }
    body = deployment(_metadata(asked.workload.get("name")), LABELS, asked.workload, template, scaled=asked.hpa is not None)
    return patched(body, asked.workload.get("patch"), "rateLimitDeployment")


def _container(asked: Asked, options: KubeOptions) -> JSON:
    ports = {"grpc": GRPC_PORT} | ({"metrics": METRICS_PORT} if asked.prometheus else {})
    mounts: list[JSON] = [{"name": "certs", "mountPath": "/certs", "readOnly": True}]
    if asked.prometheus:
        mounts.append({"name": STATISTICS, "mountPath": "/etc/statsd-exporter", "readOnly": True})
    if asked.redis_certificate:
        mounts.append({"name": "redis-certs", "mountPath": "/redis-certs", "readOnly": True})
    return {
        "name": NAME,
        "image": image(asked.container, RATE_LIMIT_IMAGE),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/ratelimit"],
        "env": laid_over(_variables(asked, options), asked.container.get("env")),
        "ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in ports.items()],
        "resources": resources(asked.container, cpu="100m", memory="512Mi"),
        "securityContext": asked.container.get("securityContext") or security_context(_USER, read_only=True),
        "volumeMounts": laid_over(mounts, asked.container.get("volumeMounts")),
        "terminationMessagePolicy": "File",
        "terminationMessagePath": "/dev/termination-log",
        "startupProbe": probe("/healthcheck", HEALTH_PORT, 10, 30),
        "readinessProbe": probe("/healthcheck", HEALTH_PORT, 5, 1),
        "livenessProbe": probe("/healthcheck", HEALTH_PORT, 10, 3),
    }


def _volumes(asked: Asked) -> list[JSON]:
    made: list[JSON] = []
    if asked.redis_certificate:
        made.append({"name": "redis-certs", "secret": {"secretName": asked.redis_certificate, "defaultMode": 0o644}})
    made.append({"name": "certs", "secret": {"secretName": SECRET, "defaultMode": 0o644}})
    if asked.prometheus:
        made.append({"name": STATISTICS, "configMap": {"name": STATISTICS, "optional": True, "defaultMode": 0o644}})
    return made


def _variables(asked: Asked, options: KubeOptions) -> list[JSON]:
    """The names are the rate limit service's own."""
    values = {
        "RUNTIME_ROOT": "/data",
        "RUNTIME_SUBDIRECTORY": "ratelimit",
        "RUNTIME_IGNOREDOTFILES": "true",
        "RUNTIME_WATCH_ROOT": "false",
        "LOG_LEVEL": "info",
        "USE_STATSD": "false",
        "CONFIG_TYPE": "GRPC_XDS_SOTW",
        "CONFIG_GRPC_XDS_SERVER_URL": f"envoy-gateway:{asked.config_port}",
        "CONFIG_GRPC_XDS_NODE_ID": NAME,
        "GRPC_SERVER_USE_TLS": "true",
        "GRPC_SERVER_TLS_CERT": "/certs/tls.crt",
        "GRPC_SERVER_TLS_KEY": "/certs/tls.key",
        "GRPC_SERVER_TLS_CA_CERT": "/certs/ca.crt",
        "CONFIG_GRPC_XDS_SERVER_USE_TLS": "true",
        "CONFIG_GRPC_XDS_CLIENT_TLS_CERT": "/certs/tls.crt",
        "CONFIG_GRPC_XDS_CLIENT_TLS_KEY": "/certs/tls.key",
        "CONFIG_GRPC_XDS_SERVER_TLS_CACERT": "/certs/ca.crt",
        "FORCE_START_WITHOUT_INITIAL_CONFIG": "true",
    }
    return [*_plain(values), *_redis(asked), *_statistics(asked), *_tracing(asked, options)]


def _redis(asked: Asked) -> Iterable[JSON]:
    if not asked.redis:
        return
    yield {"name": "REDIS_SOCKET_TYPE", "value": "tcp"}
    secret = (asked.redis.get("urlRef") or {}).get("secretKeyRef")
    yield {"name": "REDIS_URL", **({"valueFrom": {"secretKeyRef": secret}} if secret else {"value": asked.redis.get("url") or ""})}
    if asked.redis.get("tls") is not None:
        yield {"name": "REDIS_TLS", "value": "true"}
    if asked.redis_certificate:
        yield from _plain({"REDIS_TLS_CLIENT_CERT": "/redis-certs/tls.crt", "REDIS_TLS_CLIENT_KEY": "/redis-certs/tls.key"})


def _statistics(asked: Asked) -> Iterable[JSON]:
    if asked.prometheus:
        where = {"PROMETHEUS_ADDR": f":{METRICS_PORT}", "PROMETHEUS_MAPPER_YAML": "/etc/statsd-exporter/conf.yaml"}
        yield from _plain({"USE_PROMETHEUS": "true", **where})


def _tracing(asked: Asked, options: KubeOptions) -> Iterable[JSON]:
    url = (asked.tracing.get("provider") or {}).get("url")
    if not url:
        return
    rate = asked.tracing.get("samplingRate")
    named = {"TRACING_ENABLED": "true", "TRACING_SERVICE_NAME": NAME, "TRACING_SERVICE_NAMESPACE": options.namespace}
    yield from _plain(named)
    pod = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
    yield {"name": "TRACING_SERVICE_INSTANCE_ID", "valueFrom": pod}
    share = 1.0 if rate is None else rate / 100
    endpoint = url if url.startswith("http://") else f"http://{url}"
    yield from _plain({"TRACING_SAMPLING_RATE": f"{share:.1f}", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})


def _plain(values: Mapping[str, str]) -> list[JSON]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _config_map() -> JSON:
    text = yaml.safe_dump({"mappings": mappings()}, sort_keys=False, width=200)
    metadata = {"name": STATISTICS, "labels": LABELS}
    return {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": metadata, "data": {"conf.yaml": text}}


_OUTCOMES = ("near_limit", "over_limit", "total_hits", "within_limit", "shadow_mode")


def mappings() -> list[dict[str, Any]]:
    """How the service's dotted statistics become Prometheus' names and labels: one key of a descriptor, or two and more."""
    made: list[dict[str, Any]] = []
    prefix, named = "ratelimit.service.rate_limit", "ratelimit_service_rate_limit"
    for outcome in _OUTCOMES:
        labels = {"domain": "$1", "key1": "$2"}
        made.append({"match": f"{prefix}.*.*.{outcome}", "name": f"{named}_{outcome}", "timer_type": "histogram", "labels": labels})
    part = r"([^\.]*)"
    for outcome in _OUTCOMES:
        pattern = r"\.".join([*prefix.split("."), part, part, part]) + rf"(\..*)?\.{outcome}"
        labels = {"domain": "$1", "key1": "$2", "key2": "$3"}
        rule = {"match": pattern, "match_type": "regex", "name": f"{named}_{outcome}", "timer_type": "histogram", "labels": labels}
        made.append(rule)
    counters: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("ratelimit.service.call.should_rate_limit.*", "ratelimit_service_should_rate_limit_error", {"err_type": "$1"}),
        ("ratelimit_server.*.total_requests", "ratelimit_service_total_requests", {"grpc_method": "$1"}),
        ("ratelimit.service.config_load_success", "ratelimit_service_config_load_success", {}),
        ("ratelimit.service.config_load_error", "ratelimit_service_config_load_error", {}),
    )
    for match, name, given in counters:
        made.append({"match": match, "name": name, "match_metric_type": "counter"} | ({"labels": given} if given else {}))
    seconds = {"match": "ratelimit_server.*.response_time", "name": "ratelimit_service_response_time_seconds", "timer_type": "histogram"}
    return [*made, seconds | {"labels": {"grpc_method": "$1"}}]
