"""A fleet's IR, and its plan's objects by kind."""

from __future__ import annotations

from typing import Any

from services.infra_manager.providers.kubernetes.render.fleet import render
from services.infra_manager.providers.kubernetes.render.options import KubeOptions
from services.infra_manager.providers.kubernetes.render.plan import Plan
from shared.ir.infra import Infra, InfraMetadata, ListenerPort, OwnerReference, ProxyInfra, ProxyListener

JSON = dict[str, Any]
OWNER = {"gateway.envoyproxy.io/owning-gateway-name": "gw", "gateway.envoyproxy.io/owning-gateway-namespace": "default"}
HASHED = "envoy-default-gw-3d45476e"
OPTIONS = KubeOptions()


def listener(name: str = "http-80", protocol: str = "HTTP", port: int = 80, target: int = 10080, **more: Any) -> ProxyListener:
    return ProxyListener(name=name, ports=(ListenerPort(name=name, protocol=protocol, service_port=port, container_port=target),), **more)


def fleet(kubernetes: JSON | None = None, spec: JSON | None = None, labels: dict[str, str] | None = None, **more: Any) -> Infra:
    config = {"spec": {**(spec or {}), "provider": {"type": "Kubernetes", "kubernetes": kubernetes or {}}}}
    annotations = more.pop("annotations", {})
    owner = more.pop("owner_reference", OwnerReference(kind="GatewayClass", name="eg"))
    metadata = InfraMetadata(labels=(labels or {}) | OWNER, annotations=annotations, owner_reference=owner)
    settings: JSON = {"name": "default/gw", "listeners": (listener(),), "config": config, "metadata": metadata}
    return Infra(proxy=ProxyInfra(**(settings | more)))


def planned(infra: Infra, options: KubeOptions = OPTIONS) -> Plan:
    plan = render(infra, options)
    assert plan is not None
    return plan


def objects(infra: Infra, options: KubeOptions = OPTIONS) -> dict[str, JSON]:
    """Whole objects by kind."""
    return {m.ref.kind: m.body() for m in planned(infra, options).manifests}


def pod(found: JSON) -> JSON:
    made: JSON = found["spec"]["template"]["spec"]
    return made


def envoy(infra: Infra, options: KubeOptions = OPTIONS) -> JSON:
    """Envoy's container."""
    made: JSON = pod(objects(infra, options)["Deployment"])["containers"][0]
    return made


def option(container: JSON, name: str) -> str | None:
    arguments: list[str] = container["args"]
    return arguments[arguments.index(name) + 1] if name in arguments else None
