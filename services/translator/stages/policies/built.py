"""What passes between the attachment engine and the kinds of policies: a policy as it takes effect, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from shared.core.refs import ObjectRef

S = TypeVar("S")
R = TypeVar("R")


class Effective(NamedTuple, Generic[S]):
    """A policy with the spec that takes effect: its own, or its own merged over that of a parent (a Gateway's, a listener's).

    References in a merged spec count from the object that wrote them: compare `own_spec` and `parent_spec` to find out who did.
    """

    policy: ObjectRef
    spec: S
    own_spec: S
    parent: ObjectRef | None = None
    parent_spec: S | None = None


Failing = Literal["refused", "served", "void"]
"""What problems do to traffic: routes answer 500; what could be built is served; or the policy counts as not there at all."""


Routed = Callable[[], Sequence[str]]
"""The hostnames of a listener's routes, asked for only where they count."""


class Built(NamedTuple, Generic[R]):
    """The IR of a policy, and what could not be done, as sentences for its Accepted condition.

    `warnings` are (reason, sentence) of what holds nevertheless.
    """

    ir: R
    problems: tuple[str, ...] = ()
    failing: Failing = "refused"
    warnings: tuple[tuple[str, str], ...] = ()
