"""The Service through which clients reach a fleet."""

from __future__ import annotations

from services.infra_manager.providers.kubernetes.render.kinds import SERVICE
from services.infra_manager.providers.kubernetes.render.merging import patched
from services.infra_manager.providers.kubernetes.render.naming import Fleet
from services.infra_manager.providers.kubernetes.render.plan import JSON, Manifest, manifest

_FAMILIES = {
    "IPv6": {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"},
    "DualStack": {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"},
}
_BALANCED = ("loadBalancerClass", "allocateLoadBalancerNodePorts", "loadBalancerSourceRanges", "loadBalancerIP")


def service(fleet: Fleet) -> Manifest:
    """CannotRender."""
    asked = fleet.kube.get("envoyService") or {}
    kind = asked.get("type") or "LoadBalancer"
    spec: JSON = {
        "type": kind,
        "sessionAffinity": "None",
        "ports": ports(fleet),
        # labels that users change would be on new pods only, and the old ones would lose their clients
        "selector": fleet.selector,
        **_FAMILIES.get(fleet.spec.get("ipFamily") or "", {}),
    }
    if kind == "LoadBalancer":
        spec |= {field: asked[field] for field in _BALANCED if asked.get(field) not in (None, [])}
    if kind in ("LoadBalancer", "NodePort"):
        spec["externalTrafficPolicy"] = asked.get("externalTrafficPolicy") or "Local"
    addresses = list(fleet.proxy.addresses)
    if kind == "ClusterIP" and addresses:
        # a Service has one address for each family, and only the first is ours to choose
        spec |= {"clusterIP": addresses[0], "clusterIPs": addresses[:1]}
    elif addresses:
        spec["externalIPs"] = addresses
    labels = fleet.labels | (asked.get("labels") or {}) | fleet.selector
    annotations = (fleet.annotations or {}) | (asked.get("annotations") or {})
    metadata = fleet.metadata(asked.get("name"), labels, annotations or None)
    body = {"apiVersion": SERVICE.api_version, "kind": SERVICE.kind, "metadata": metadata, "spec": spec}
    return manifest(patched(body, asked.get("patch"), "envoyService"))


def ports(fleet: Fleet) -> list[JSON]:
    made: list[JSON] = []
    for listener in fleet.proxy.listeners:
        for port in listener.ports:
            protocol = "UDP" if port.protocol == "UDP" else "TCP"
            made.append({"name": port.name, "protocol": protocol, "port": port.service_port, "targetPort": port.container_port})
            if port.protocol == "HTTPS" and listener.http3 is not None:
                made.append({**made[-1], "name": f"{port.name}-h3", "protocol": "UDP"})
    return made
