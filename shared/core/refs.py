"""What identifies a Kubernetes object everywhere in Headgate: tables, subjects, statuses, logs."""

from __future__ import annotations

from typing import NamedTuple

from shared.core import names


class ObjectRef(NamedTuple):
    """group ('' is core), kind, namespace ('' is cluster-scoped), name."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    def subject(self, prefix: str) -> str:
        """`<prefix>.<group>.<kind>.<namespace>.<name>`."""
        return prefix + "." + names.join(*self)

    @classmethod
    def from_subject(cls, subject: str) -> ObjectRef:
        """The object that a `resources.` or `wants.` subject speaks of; ValueError for another shape."""
        tokens = subject.split(".")
        if len(tokens) != 5:
            raise ValueError(f"not an object's subject: {subject}")
        return cls(*(names.unescape(t) for t in tokens[1:]))


class GatewayRef(NamedTuple):
    """One fleet of proxies: a Gateway, or a whole class of merged Gateways (namespace '', name = the class's)."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def subject(self, prefix: str) -> str:
        """`<prefix>.<namespace>.<name>`, for instance with prefix `ir.xds`."""
        return prefix + "." + names.join(*self)
