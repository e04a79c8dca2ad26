"""Bases of the structs that raw objects are parsed into. Parse only: what nothing reads is not kept, so equal meaning is equal rows.

A status, a resourceVersion or managedFields never reach a row: our own status writes come back as equal rows and cause nothing.
"""

from __future__ import annotations

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of every part of an object; sequences are tuples."""


class ObjectMeta(Spec, frozen=True):
    """`creation_timestamp` is RFC 3339 text, '' where a provider has none."""

    name: str
    namespace: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    generation: int = 0
    creation_timestamp: str = ""


class Object(Spec, frozen=True):
    """Base of a whole object."""

    metadata: ObjectMeta


class LabelSelectorRequirement(Spec, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Spec, frozen=True):
    """metav1.LabelSelector; empty selects everything."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
