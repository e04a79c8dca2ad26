"""Where a piece of IR came from: it ends in Envoy's metadata and access logs, and names the culprit of a rejection."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.match import MapEntry


class PolicyMetadata(IR, frozen=True):
    kind: str
    name: str
    namespace: str = ""


class ResourceMetadata(IR, frozen=True):
    """The object (and its section: a listener's, rule's or port's name) behind a piece of IR."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    section_name: str = ""
    annotations: tuple[MapEntry, ...] = ()
    policies: tuple[PolicyMetadata, ...] = ()
