"""What comes with the questions of a hook, as plain structs: objects of the server's own kinds, and where they are attached."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple


class Object(NamedTuple):
    """An object of one of the server's kinds, as its user wrote it; `raw` is all of it."""

    raw: dict[str, Any]

    @property
    def api_version(self) -> str:
        return str(self.raw.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        return str(self.raw.get("kind", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = self.raw.get("metadata") or {}
        return found

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.metadata.get("namespace", ""))

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.raw.get("spec") or {}
        return found


def objects(given: Iterable[Any]) -> tuple[Object, ...]:
    """From ExtensionResources. Raises ValueError for what is no JSON object."""
    found = tuple(json.loads(each.unstructured_bytes) for each in given)
    if not all(isinstance(each, dict) for each in found):
        raise ValueError("an extension resource is no JSON object")
    return tuple(Object(each) for each in found)


class RouteContext(NamedTuple):
    """`resources` are what the route's rule names as filters and backends, `policies` are attached to the route or its rule."""

    hostnames: tuple[str, ...]
    resources: tuple[Object, ...]
    policies: tuple[Object, ...]


class ListenerContext(NamedTuple):
    """Policies that are attached to the listener or its Gateway."""

    policies: tuple[Object, ...]


class ClusterContext(NamedTuple):
    """What the rule that the cluster is for names as filters and backends."""

    resources: tuple[Object, ...]


class TranslationContext(NamedTuple):
    """Policies that are attached to the Gateway or its listeners."""

    policies: tuple[Object, ...]


class Translation(NamedTuple):
    """A Gateway's resources; what the configuration does not include is empty, and stays what it is whatever is returned."""

    clusters: list[Any]
    secrets: list[Any]
    listeners: list[Any]
    routes: list[Any]
