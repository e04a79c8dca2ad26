"""Who wrote what of a policy that is merged over another: references count from there, and filters are called after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.translator.stages.policies.built import Effective
from shared.core.refs import ObjectRef

S = TypeVar("S")


def owner(of: Effective[S], wrote: Callable[[S], object]) -> ObjectRef:
    """The policy itself where it wrote that field, else its parent if that did."""
    if of.parent is None or of.parent_spec is None or wrote(of.own_spec) or not wrote(of.parent_spec):
        return of.policy
    return of.parent
