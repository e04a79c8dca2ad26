"""The provider door: where objects come from and statuses go back to. Kubernetes and File use the same one.

A provider is an entry point in the group `headgate.providers`: a callable `(settings: Settings) -> Provider`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

from shared.core.refs import ObjectRef
from shared.runtime.settings import Settings

GROUP = "headgate.providers"


class Problem(NamedTuple):
    """Something of the user's that could not be read as an object. `where` is a file and document, or an object."""

    where: str
    message: str
    object: str = ""


class Update(NamedTuple):
    """What changed at once. Values are whole objects as parsed, None for one that is gone.

    `complete` says that the provider's first list is finished: from then on what it did not name is known not to exist.
    `unknown` are sources (files, folders) that could not be read whole: what the bus holds from them stays.
    `sources` tells where the objects of `changes` stand.
    """

    changes: Mapping[ObjectRef, dict[str, Any] | None]
    complete: bool
    problems: tuple[Problem, ...] = ()
    unknown: frozenset[str] = frozenset()
    sources: Mapping[ObjectRef, str] = {}


Sink = Callable[[Update], Awaitable[None]]


class Provider(Protocol):
    async def run(self, sink: Sink, stop: asyncio.Event) -> None:
        """Delivers updates until `stop`; the sink returns when an update is safely on the bus."""

    def expect(self, refs: frozenset[ObjectRef]) -> None:
        """Objects of private kinds (Secrets, ConfigMaps) that are referred to already; told before the first `run`."""

    async def want(self, ref: ObjectRef, wanted: bool) -> Mapping[ObjectRef, dict[str, Any]]:
        """Something refers to a private object, or no longer does. What it holds now, where `run` has not told that already."""

    async def write_status(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        """Stores an object's merged status where its user looks for it, and keeps it there; None removes it."""

    async def read_status(self, ref: ObjectRef) -> dict[str, Any] | None:
        """The status as it was last written, so that transition times survive a restart."""

    def hold_status(self, ref: ObjectRef, status: dict[str, Any]) -> None:
        """What was read is right: it is kept like one that was written."""


class NoSuchProvider(Exception):
    pass


def load(name: str, settings: Settings) -> Provider:
    """The provider of that name; NoSuchProvider lists those installed."""
    found = {e.name: e for e in entry_points(group=GROUP)}
    if name not in found:
        raise NoSuchProvider(f"no provider {name!r}: installed are {', '.join(sorted(found)) or 'none'} (entry-point group {GROUP})")
    made: Provider = found[name].load()(settings)
    return made
