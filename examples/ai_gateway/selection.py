"""Which Gateways and listeners the AI gateway serves: all, but for those whose labels or the configuration leave them out. Pure.

Nothing here looks at names: a Gateway in the namespace `envoy-gateway`, or one that is called so, is served like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

MANAGED = "ai-gateway.envoyproxy.io/managed"
"""Label of a Gateway or ListenerSet: "false" leaves it out. With `.<listener>` behind it: that listener alone."""
Labels = Mapping[str, str]


class Requirement(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Of a label selector, as Kubernetes has it."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def fits(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                raise ValueError(f"operator: expected In, NotIn, Exists or DoesNotExist, got {self.operator!r}")


class LabelSelector(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[Requirement, ...] = ()

    def fits(self, labels: Labels) -> bool:
        return all(labels.get(k) == v for k, v in self.match_labels.items()) and all(e.fits(labels) for e in self.match_expressions)


class Selector(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """All that is given must fit. `namespaces` are names; `namespaceSelector` goes by a Namespace's labels, `labels` by an object's own."""

    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    labels: LabelSelector | None = None


class LeftOut(NamedTuple):
    """Why something is not served: a word for conditions and metrics, and a sentence."""

    reason: str
    message: str


def left_out(
    raw: dict[str, Any], namespaces: Mapping[str, Labels], selector: Selector, parent: dict[str, Any] | None = None
) -> LeftOut | None:
    """Of a Gateway, or of a ListenerSet (with its Gateway as `parent`); None: it is served."""
    kind, metadata = raw["kind"], raw["metadata"]
    namespace = metadata["namespace"]
    labels: Labels = metadata.get("labels") or {}
    said = labels.get(MANAGED)
    if said == "false":
        return LeftOut("LabelSaysNo", f"{kind} {namespace}/{metadata['name']} has the label {MANAGED}: false")
    if parent is not None and said is None and _labels(parent).get(MANAGED) == "false":
        return LeftOut("LabelSaysNo", f"its Gateway {_name(parent)} has the label {MANAGED}: false")
    if selector.namespaces and namespace not in selector.namespaces:
        return LeftOut("NamespaceNotSelected", f"namespace {namespace} is none of {', '.join(selector.namespaces)}")
    if selector.namespace_selector is not None and not selector.namespace_selector.fits(namespaces.get(namespace) or {}):
        return LeftOut(
            "NamespaceNotSelected", f"the labels of namespace {namespace} are not those of the configuration's namespaceSelector"
        )
    if selector.labels is not None and not selector.labels.fits(labels):
        return LeftOut("NotSelected", f"the labels of {kind} {namespace}/{metadata['name']} are not those of the configuration's selector")
    return None


def listener_left_out(raw: dict[str, Any], listener: str) -> LeftOut | None:
    """Of one listener of an object that is served."""
    key = f"{MANAGED}.{listener}"
    if _labels(raw).get(key) == "false":
        return LeftOut("LabelSaysNo", f"{raw['kind']} {_name(raw)} has the label {key}: false")
    return None


def _labels(raw: dict[str, Any]) -> Labels:
    found: Labels = raw["metadata"].get("labels") or {}
    return found


def _name(raw: dict[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
