"""What every policy of Envoy Gateway says about where it attaches: by reference, by several, or by labels."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.api.base import LabelSelector, Object, Spec
from shared.api.gateway import GROUP


class PolicyTargetReference(Spec, frozen=True):
    """An object in the policy's own namespace, or a section of it: a listener, or a named rule of a route."""

    group: str
    kind: str
    name: str
    section_name: str | None = None


class TargetNamespaces(Spec, frozen=True):
    """Which namespaces a selector looks in: the policy's own unless it says otherwise."""

    from_: str = msgspec.field(default="Same", name="from")
    selector: LabelSelector | None = None


class TargetSelector(LabelSelector, frozen=True, kw_only=True):
    """Objects of one kind by their labels; without labels all of that kind."""

    kind: str
    group: str = GROUP
    namespaces: TargetNamespaces | None = None


class PolicyTargets(Spec, frozen=True):
    """Base of a policy's spec. `target_ref` is the deprecated single one; where it is given the others count no more.

    `merge_type`: how the policy goes together with the one of its parent, instead of replacing it (StrategicMerge or JSONMerge).
    """

    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    target_selectors: tuple[TargetSelector, ...] = ()
    merge_type: str | None = None


class PolicyObject(Object, frozen=True):
    """Base of a policy; a kind says more of its `spec`. `written` is the spec as it stands in the object, to merge it with another's.

    `uid` tells it from one of the same name that was there before; '' where a provider has none.
    """

    spec: PolicyTargets = PolicyTargets()
    written: dict[str, Any] = msgspec.field(default_factory=dict)
    uid: str = ""
