"""Names and labels of a fleet's objects. Selectors hold only what never changes: a workload's cannot be changed."""

from __future__ import annotations

import hashlib

from services.infra_manager.provider import CannotRender
from services.infra_manager.providers.kubernetes.render.options import KubeOptions
from services.infra_manager.providers.kubernetes.render.plan import JSON, Owner
from shared.core.refs import GatewayRef
from shared.ir.infra import ProxyInfra

OWNER_NAME = "gateway.envoyproxy.io/owning-gateway-name"
OWNER_NAMESPACE = "gateway.envoyproxy.io/owning-gateway-namespace"
OWNER_CLASS = "gateway.envoyproxy.io/owning-gatewayclass"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
MANAGED = ("app.kubernetes.io/managed-by", "envoy-gateway")
APP = {"app.kubernetes.io/name": "envoy", "app.kubernetes.io/component": "proxy", MANAGED[0]: MANAGED[1]}
_LONGEST = 48


def hashed_name(name: str) -> str:
    """`default/gw` -> `envoy-default-gw-<8 hex digits>`."""
    flat = name.replace("/", "-")
    if len(flat) > _LONGEST:
        flat = flat[:_LONGEST].removesuffix("-")
    return f"envoy-{flat}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def gateway_of(labels: dict[str, str]) -> GatewayRef | None:
    """Whose fleet an object with these labels belongs to."""
    if labels.get(OWNER_NAME) and labels.get(OWNER_NAMESPACE):
        return GatewayRef(labels[OWNER_NAMESPACE], labels[OWNER_NAME])
    return GatewayRef("", labels[OWNER_CLASS]) if labels.get(OWNER_CLASS) else None


class Fleet:
    """The settings of a fleet's EnvoyProxy and what each of its objects has."""

    def __init__(self, proxy: ProxyInfra, options: KubeOptions) -> None:
        metadata = proxy.metadata
        self.proxy = proxy
        self.options = options
        self.spec: JSON = (proxy.config or {}).get("spec") or {}
        provider = self.spec.get("provider") or {}
        if provider.get("type", "Kubernetes") != "Kubernetes":
            raise CannotRender(f"spec.provider.type: {provider['type']} proxies are not run on Kubernetes")
        self.kube: JSON = provider.get("kubernetes") or {}
        self.given: dict[str, str] = dict(metadata.labels) if metadata is not None else {}
        self.annotations: dict[str, str] | None = (dict(metadata.annotations) or None) if metadata is not None else None
        self.by_namespace = options.by_namespace and bool(proxy.namespace) and OWNER_CLASS not in self.given
        # the control plane asks all proxies for tokens, or for certificates; those of merged Gateways are no exception
        self.by_token = options.by_namespace
        self.name = proxy.name if self.by_namespace else hashed_name(proxy.name)
        self.namespace = proxy.namespace if self.by_namespace else options.namespace
        self.cluster = f"{proxy.namespace}/{proxy.name}" if self.by_namespace else proxy.name
        own = metadata.owner_reference if metadata is not None else None
        self.owner = Owner(own.kind, self.namespace if own.kind == "Gateway" else "", own.name) if own is not None else None
        if gateway_of(self.given) is None:
            raise CannotRender("the fleet's IR does not say whose it is")

    @property
    def labels(self) -> dict[str, str]:
        """Of every object. Ours win: by them we find the objects again."""
        return self.given | self._app()

    @property
    def selector(self) -> dict[str, str]:
        """What stays the same whatever users change."""
        return self._app() | {k: v for k, v in self.given.items() if k in (OWNER_NAME, OWNER_NAMESPACE, OWNER_CLASS)}

    def metadata(self, name: str | None = None, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> JSON:
        return {
            "name": name or self.name,
            "namespace": self.namespace,
            "labels": labels or self.labels,
            "annotations": annotations or self.annotations,
        }

    @property
    def service_account(self) -> str:
        name: str = (self.kube.get("envoyServiceAccount") or {}).get("name") or self.name
        return name

    def _app(self) -> dict[str, str]:
        return APP | ({GATEWAY_NAME: self.name} if self.by_namespace else {})
