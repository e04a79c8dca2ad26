"""All objects of a kind, and then every change of them: list in pages, watch with bookmarks, list again when the past is gone.

What a list does not name any more is told as gone, so that a reader misses nothing, however long the server was away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import structlog

from shared.core.refs import ObjectRef
from shared.kube.client import GONE, JSON, NOT_FOUND, Kube, Refused, Unreachable, retrying_pause
from shared.kube.discovery import Resource

log = structlog.get_logger("kubernetes")

T = TypeVar("T")

PAGE = 500
SILENCE = 330.0
"""Seconds without even a bookmark after which a watch is not believed any more."""
LIFETIME = "300"
"""Seconds after which the server is asked to end a watch, so that they spread over its replicas."""
METADATA = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1,application/json"


class Change(NamedTuple):
    """None for an object that is gone."""

    ref: ObjectRef
    object: dict[str, Any] | None


class Batch(NamedTuple):
    """`listed`: with this, everything that there is has been told."""

    changes: tuple[Change, ...]
    listed: bool = False


class NotServed(Exception):
    """The server knows no such kind in this version: not any more, or not yet again. It must be looked for anew."""


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[dict[str, Any]] | None = None
    """Go writes an empty list as null."""


class _Event(msgspec.Struct):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: dict[str, Any] = {}


_events = msgspec.json.Decoder(_Event)
_lists = msgspec.json.Decoder(_List)


class Watcher:
    """`metadata_only`: objects come without their contents. `known`: resource versions of what was told before; kept up to date."""

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        *,
        namespace: str = "",
        query: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        known: dict[ObjectRef, str] | None = None,
    ) -> None:
        self._kube = kube
        self._resource = resource
        self._path = resource.path(namespace=namespace)
        self._query = dict(query or {})
        self._accept = METADATA if metadata_only else JSON
        self._known = known if known is not None else {}
        self._version = ""
        self._failures = 0

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Without end, but for NotServed. Close it (contextlib.aclosing): an open watch is a connection."""
        while True:
            try:
                if not self._version:
                    yield await self._list()
                    self._failures = 0
                async with aclosing(self._watch()) as changes:
                    async for change in changes:
                        self._failures = 0
                        yield Batch((change,))
            except Refused as e:
                self._version = ""
                if e.code == NOT_FOUND:
                    raise NotServed(str(e)) from e
                if e.code != GONE:
                    await self._wait(str(e))
            except Unreachable as e:
                await self._wait(str(e))

    async def _wait(self, why: str) -> None:
        log.warning("watch_interrupted", kind=self._resource.kind, error=why)
        await retrying_pause(self._failures)
        self._failures += 1

    async def _list(self) -> Batch:
        """What is there, as differences from what was known."""
        found: dict[ObjectRef, dict[str, Any]] = {}
        query = {**self._query, "limit": str(PAGE)}
        while True:
            page = _decoded(_lists, await self._kube.get(self._path, query, self._accept.format(list="List")))
            for item in page.items or ():
                found[self._ref(item)] = self._named(item)
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        changes = [Change(ref, None) for ref in self._known.keys() - found.keys()]
        changes += [Change(ref, o) for ref, o in found.items() if self._known.get(ref) != _version(o)]
        self._known.clear()
        self._known |= {ref: _version(o) for ref, o in found.items()}
        self._version = page.metadata.resource_version
        return Batch(tuple(changes), listed=True)

    async def _watch(self) -> AsyncGenerator[Change, None]:
        query = {
            **self._query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": LIFETIME,
        }
        async with aclosing(self._kube.lines(self._path, query, self._accept.format(list=""), SILENCE)) as lines:
            async for line in lines:
                change = self._change(_decoded(_events, line))
                if change is not None:
                    yield change
                # a burst of changes must not keep everybody else waiting
                await asyncio.sleep(0)

    def _change(self, event: _Event) -> Change | None:
        """None for a bookmark. Raises Refused for the server's own end of the watch."""
        if event.type == "ERROR":
            code = event.object.get("code", GONE)
            raise Refused(code if isinstance(code, int) else GONE, event.object.get("reason", ""), event.object.get("message", ""))
        self._version = _version(event.object) or self._version
        if event.type == "BOOKMARK":
            return None
        ref = self._ref(event.object)
        if event.type == "DELETED":
            self._known.pop(ref, None)
            return Change(ref, None)
        self._known[ref] = _version(event.object)
        return Change(ref, self._named(event.object))

    def _ref(self, item: Mapping[str, Any]) -> ObjectRef:
        metadata = item.get("metadata") or {}
        return ObjectRef(self._resource.group, self._resource.kind, metadata.get("namespace", ""), metadata.get("name", ""))

    def _named(self, item: dict[str, Any]) -> dict[str, Any]:
        """Items of a list do not say what they are."""
        return {**item, "apiVersion": self._resource.api_version, "kind": self._resource.kind}


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """What cannot be read was cut off, or comes from something that is no API server: asked again, like a lost connection."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError as e:
        raise Unreachable(f"an answer that cannot be read: {e}") from e


def _version(item: Mapping[str, Any]) -> str:
    found: str = (item.get("metadata") or {}).get("resourceVersion", "")
    return found
