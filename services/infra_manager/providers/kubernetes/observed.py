"""A fleet's status from what is really there: its Service's addresses, its workload's available pods. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.infra_manager.providers.kubernetes.render.plan import Plan
from shared.ir.status import InfraStatus

Live = Mapping[str, Any]
_COUNTS = {"Deployment": ("availableReplicas", "replicas"), "DaemonSet": ("numberAvailable", "currentNumberScheduled")}


def status(plan: Plan | None, objects: Iterable[Any], nodes: Callable[[Any], Iterable[Live]], trouble: str = "") -> InfraStatus:
    """`objects`: all of the fleet; `nodes(service)`: where it is reached; `trouble`: why the fleet is not as it should be."""
    found = list(objects)
    service = _service(plan, found)
    addresses = _addresses(plan, service, nodes) if service is not None else ()
    counts = [_counts(o) for o in found if o.get("kind") in _COUNTS]
    available, wanted = (sum(c[n] for c in counts) for n in (0, 1))
    return InfraStatus(addresses=addresses, ready=available > 0, replicas=available, wanted=wanted, message=trouble)


def available(live: Live | None) -> bool:
    """A workload that has pods which can be used."""
    return live is not None and _counts(live)[0] > 0


def node_addresses(nodes: Iterable[Live], family: str) -> list[str]:
    """Of all nodes: the external ones of a node, without any its internal ones. `family`: IPv4 or IPv6."""
    made: list[str] = []
    for node in nodes:
        entries = (node.get("status") or {}).get("addresses") or ()
        by_type = {t: [a["address"] for a in entries if a.get("type") == t] for t in ("ExternalIP", "InternalIP")}
        made += [a for a in by_type["ExternalIP"] or by_type["InternalIP"] if _family(a) == family]
    return sorted(made)


def _service(plan: Plan | None, objects: list[Live]) -> Live | None:
    services = [o for o in objects if o.get("kind") == "Service"]
    wanted = {m.ref.name for m in plan.manifests if m.ref.kind == "Service"} if plan is not None else set()
    return next((s for s in services if s["metadata"]["name"] in wanted), services[0] if services else None)


def _addresses(plan: Plan | None, service: Live, nodes: Callable[[Any], Iterable[Live]]) -> tuple[str, ...]:
    spec = service.get("spec") or {}
    own = [a for a in spec.get("clusterIPs") or () if a not in ("", "None")]
    external = list(spec.get("externalIPs") or ())
    if plan is not None and plan.addresses:
        return tuple(external or own)
    kind = spec.get("type")
    if kind == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        ips = [i["ip"] for i in ingress if i.get("ip")]
        return tuple([*ips, *(i["hostname"] for i in ingress if not i.get("ip") and i.get("hostname"))] or external)
    if kind == "NodePort":
        each = list(nodes(service))
        return tuple(a for family in ("IPv4", "IPv6") if family in (spec.get("ipFamilies") or ()) for a in node_addresses(each, family))
    return tuple(own)


def _counts(live: Live) -> tuple[int, int]:
    """Available pods, and how many there are."""
    found = live.get("status") or {}
    first, second = _COUNTS[str(live["kind"])]
    return found.get(first) or 0, found.get(second) or 0


def _family(address: str) -> str:
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return ""
