"""On which nodes a Service of type NodePort is reached: all, or only those that have a pod of it (`externalTrafficPolicy: Local`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.infra_manager.providers.kubernetes.compare import labels_of
from services.infra_manager.providers.kubernetes.render.kinds import ENDPOINT_SLICE, NODE
from services.infra_manager.providers.kubernetes.render.plan import JSON
from shared.core.refs import ObjectRef
from shared.kube.discovery import Resource

_SERVICE_NAME = "kubernetes.io/service-name"


class Places:
    """Nodes and endpoints, as watches tell them; `changed` is called when that moves an address."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._nodes: dict[str, JSON] = {}
        self._pods: dict[ObjectRef, tuple[tuple[str, str], frozenset[str]]] = {}
        """(namespace, Service), names of nodes with a pod that is ready; by EndpointSlice."""
        self.watched = False

    def begin(self) -> tuple[Resource, ...]:
        """What is to be watched from now on."""
        self.watched = True
        return (NODE, ENDPOINT_SLICE)

    def of(self, service: JSON) -> list[JSON]:
        """Nodes, with nothing but their addresses."""
        if (service.get("spec") or {}).get("externalTrafficPolicy") != "Local":
            return list(self._nodes.values())
        at = (service["metadata"].get("namespace", ""), service["metadata"]["name"])
        names = {n for where, nodes in self._pods.values() if where == at for n in nodes}
        return [node for name, node in self._nodes.items() if name in names]

    def note(self, ref: ObjectRef, found: JSON | None) -> None:
        before = (self._nodes.get(ref.name), self._pods.get(ref))
        if ref.kind == NODE.kind:
            _put(self._nodes, ref.name, found and {"status": {"addresses": (found.get("status") or {}).get("addresses") or []}})
        else:
            _put(self._pods, ref, found and ((ref.namespace, labels_of(found).get(_SERVICE_NAME, "")), _nodes(found)))
        if before != (self._nodes.get(ref.name), self._pods.get(ref)):
            self._changed()


def _nodes(found: JSON) -> frozenset[str]:
    ready = (e for e in found.get("endpoints") or () if (e.get("conditions") or {}).get("ready") is not False)
    return frozenset(e["nodeName"] for e in ready if e.get("nodeName"))


def _put(table: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
