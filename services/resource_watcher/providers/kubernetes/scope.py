"""Which objects are looked at: of all namespaces, of some, or of those whose labels fit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.core.kinds import KINDS, Kinds
from shared.core.refs import ObjectRef
from shared.runtime.config import NamespaceSelector, Watch

_NAME_LABEL = "kubernetes.io/metadata.name"


class Scope:
    """What of a cluster belongs to us. With a selector, a namespace whose labels change comes in or goes out with all that is in it."""

    def __init__(self, watch: Watch | None, kinds: Kinds = KINDS) -> None:
        self._kinds = kinds
        self.namespaces = frozenset(watch.namespaces) if watch is not None and watch.type == "Namespaces" else None
        self._selector = watch.namespace_selector if watch is not None and watch.type == "NamespaceSelector" else None
        self._chosen: set[str] = set()

    @property
    def selects(self) -> bool:
        return self._selector is not None

    def takes(self, ref: ObjectRef) -> bool:
        """Whether an object counts."""
        info = self._kinds[ref.group, ref.kind]
        if not info.namespaced:
            return True
        if self.namespaces is not None:
            return ref.namespace in self.namespaces
        return self._selector is None or ref.namespace in self._chosen

    def see(self, namespace: str, labels: Mapping[str, str] | None) -> bool:
        """A namespace as it is now (None: gone); whether it came in or went out by that."""
        if self._selector is None:
            return False
        before = namespace in self._chosen
        now = labels is not None and fits(self._selector, {_NAME_LABEL: namespace, **labels})
        (self._chosen.add if now else self._chosen.discard)(namespace)
        return before != now


def fits(selector: NamespaceSelector, labels: Mapping[str, str]) -> bool:
    """metav1.LabelSelector; an expression that is none fits nothing."""
    if any(labels.get(k) != v for k, v in selector.match_labels.items()):
        return False
    return all(_expressed(each, labels) for each in selector.match_expressions)


def _expressed(each: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = each.get("key"), each.get("values") or ()
    has = key in labels
    inside = has and labels.get(str(key)) in values
    return {"In": inside, "NotIn": not inside, "Exists": has, "DoesNotExist": not has}.get(str(each.get("operator")), False)
