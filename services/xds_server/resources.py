"""What the store hands to ADS: resources by type, and what changed among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.xds_server.render.types import Need, Rendered, frame, framed


class Resource(NamedTuple):
    """One resource as it goes out: `any_bytes` is a serialised google.protobuf.Any; `needs` is what it makes Envoy ask for.

    `place` is what only one resource of its type can have at a time: a listener's address.
    """

    name: str
    version: str
    any_bytes: bytes
    needs: tuple[Need, ...] = ()
    place: str = ""


class TypeChanges(NamedTuple):
    upserts: dict[str, Resource]
    removals: frozenset[str]


ResourceChanges = dict[str, TypeChanges]
"""Type URL -> what to set and what to remove; a type that did not change is absent."""


def resource(type_url: str, name: str, content: Rendered) -> Resource:
    any_bytes = b"".join((framed(1, type_url.encode()), frame(2, len(content.body)), content.body))
    return Resource(name, content.version, any_bytes, content.needs, content.place)


def changes(of: Iterable[tuple[Need, Rendered | None]]) -> ResourceChanges:
    """Changes from (type, name) -> content pairs, None for what is gone."""
    out: ResourceChanges = {}
    for (type_url, name), content in of:
        found = out.setdefault(type_url, TypeChanges({}, frozenset()))
        if content is None:
            out[type_url] = found._replace(removals=found.removals | {name})
        else:
            found.upserts[name] = resource(type_url, name, content)
    return out


def merged(first: ResourceChanges, second: ResourceChanges) -> ResourceChanges:
    """Both changes, the second after the first."""
    out = dict(first)
    for type_url, later in second.items():
        if type_url not in out:
            out[type_url] = later
            continue
        upserts = {n: r for n, r in out[type_url].upserts.items() if n not in later.removals} | later.upserts
        out[type_url] = later._replace(upserts=upserts, removals=(out[type_url].removals - set(later.upserts)) | later.removals)
    return out
