"""What one client holds, wants and was sent of one resource type."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from services.xds_server.ads.view import View, content_of
from services.xds_server.render.types import CLUSTER, LISTENER, ROUTE
from services.xds_server.resources import Resource

WILDCARD = "*"
_NAMELESS_TYPES = (LISTENER, CLUSTER)
"""Types whose state-of-the-world request without names means all of them."""


class InFlight(NamedTuple):
    """A response that the client has neither accepted nor rejected: what it set, what stood there before, what it removed."""

    nonce: str
    sent: dict[str, Resource]
    before: dict[str, Resource | None]
    removed: tuple[str, ...] = ()


FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds before what time may heal is offered again: the first pause; each further one is twice as long, up to the longest."""
SLIGHT, LONGEST_REST = 0.02, 0.2
"""Seconds: what is taken faster needs no rest, and no rest is longer."""
_RESTS = (ROUTE,)
"""A RouteConfiguration is taken in whole, whatever of it changed."""
_OFFERED = math.inf
_HEALS = re.compile(r"cannot bind|address already in use|has duplicate address", re.IGNORECASE)


class Later(NamedTuple):
    """A content that was refused for now: what the client said, how often, and when it is offered again (None: not settled yet)."""

    content: str
    detail: str
    times: int
    at: float | None = None


def time_heals(type_url: str, detail: str) -> bool:
    """Whether a refusal is no fault of the configuration: an address that somebody else holds may be free later."""
    return type_url == LISTENER and _HEALS.search(detail) is not None


class Subscription:
    """`upserts`, `removals` and `missing` wait to be sent; `known` is what the client has, a response in flight counted in."""

    def __init__(self, type_url: str, delta: bool) -> None:
        self.type_url = type_url
        self.delta = delta
        self.wildcard = False
        self.names: set[str] = set()
        self.known: dict[str, Resource] = {}
        self.upserts: dict[str, Resource] = {}
        self.removals: set[str] = set()
        self.missing: set[str] = set()
        self.rejected: dict[str, str] = {}
        self.later: dict[str, Later] = {}
        self.retry: deque[tuple[str, ...]] = deque()
        self.in_flight: InFlight | None = None
        self.sent_at: float | None = None
        self.rest_until = 0.0
        self.nonce = ""
        self.answered = False
        self.begun = False
        self._seq = -1

    def rest_after_answer(self, now: float) -> None:
        """At the first look after an answer: a client that took long to take something rests for as long."""
        if self.in_flight is None and self.sent_at is not None:
            took, self.sent_at = now - self.sent_at, None
            self.rest_until = now + min(took, LONGEST_REST) if self.type_url in _RESTS and took > SLIGHT else now

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    @property
    def settled(self) -> bool:
        """Nothing to set waits or is in flight."""
        return not self.upserts and not self.retry and self.in_flight is None

    def subscribe(self, names: Iterable[str], unsubscribe: Iterable[str], view: View) -> None:
        """Delta: changes what the client wants. Its first message, if it names nothing, asks for everything."""
        wanted = list(names)
        first, self.begun = not self.begun, True
        if first and not wanted:
            wanted = [WILDCARD]
        for name in unsubscribe:
            if name == WILDCARD:
                self.wildcard = False
                self._forget_unwanted()
                continue
            self.names.discard(name)
            if self.wildcard:
                # the client cannot tell whether the wildcard still covers the name, so it is told again
                self.consider(name, view, again=True)
            else:
                self._forget(name)
        for name in wanted:
            if name == WILDCARD:
                self.wildcard = True
                for each in view.names(self.type_url):
                    self.consider(each, view)
            else:
                self.names.add(name)
                # a name subscribed again is one that the client dropped in between
                self.consider(name, view, again=not first, asked=True)

    def replace_names(self, names: tuple[str, ...], view: View) -> None:
        """State of the world: each request names all that is wanted."""
        nameless = not names and self.type_url in _NAMELESS_TYPES and not self.names
        self.begun = True
        self.wildcard = nameless or WILDCARD in names
        before, self.names = self.names, set(names) - {WILDCARD}
        self._forget_unwanted()
        for name in view.names(self.type_url) if self.wildcard else self.names - before:
            self.consider(name, view)

    def assume(self, versions: Iterable[tuple[str, str]]) -> None:
        """What the client says that it holds, from an earlier stream."""
        for name, version in versions:
            self.known[name] = Resource(name, version, b"")

    def absorb(self, view: View) -> None:
        """Looks at what changed since the last time."""
        changed = view.changed_since(self.type_url, self._seq) if self._seq >= 0 else None
        self._seq = view.seq
        for name in (*view.names(self.type_url), *self.known) if changed is None else sorted(changed):
            self.consider(name, view)

    def consider(self, name: str, view: View, *, again: bool = False, asked: bool = False) -> None:
        """Decides what the client has to be told about one resource."""
        if not self.wants(name):
            self._forget(name)
            return
        resource = view.get(self.type_url, name)
        if resource is None:
            self.upserts.pop(name, None)
            self.rejected.pop(name, None)
            self.later.pop(name, None)
            if name in self.known:
                self.removals.add(name)
            elif asked or again:
                self.missing.add(name)
            return
        self.removals.discard(name)
        self.missing.discard(name)
        known = self.known.get(name)
        content = content_of(resource.version)
        same = known is not None and content_of(known.version) == content
        if same:
            self.known[name] = resource
        refused = self.rejected.get(name) == content
        if not refused:
            self.rejected.pop(name, None)
        waiting = self.later.get(name)
        if waiting is not None and waiting.content != content:
            del self.later[name]
        elif waiting is not None and waiting.at != _OFFERED:
            refused = True
        if (same and not again) or refused:
            self.upserts.pop(name, None)
        else:
            self.upserts[name] = resource

    def put_off(self, name: str, content: str, detail: str) -> None:
        """The client could not take this content now."""
        before = self.later.get(name)
        times = before.times + 1 if before is not None and before.content == content else 1
        self.later[name] = Later(content, detail, times)
        self.upserts.pop(name, None)

    def due(self, now: float, view: View) -> float | None:
        """Offers again what has waited long enough; returns when the next one is due."""
        ends: list[float] = []
        for name, each in self.later.items():
            if each.at is None:
                pause = min(FIRST_PAUSE * 2.0 ** (each.times - 1), LONGEST_PAUSE)
                self.later[name] = each._replace(at=now + pause)
                ends.append(now + pause)
            elif now < each.at < _OFFERED:
                ends.append(each.at)
            elif each.at <= now and (resource := view.get(self.type_url, name)) is not None:
                self.later[name] = each._replace(at=_OFFERED)
                self.upserts[name] = resource
        return min(ends, default=None)

    def resend(self, name: str, view: View) -> None:
        """Says again what the client may have lost with the resource that needed it."""
        resource = view.get(self.type_url, name)
        if resource is not None and self.wants(name) and name in self.known:
            self.upserts[name] = resource

    def _forget(self, name: str) -> None:
        self.known.pop(name, None)
        self.upserts.pop(name, None)
        self.removals.discard(name)
        self.missing.discard(name)
        self.rejected.pop(name, None)
        self.later.pop(name, None)

    def _forget_unwanted(self) -> None:
        for name in [n for n in (*self.known, *self.upserts) if not self.wants(n)]:
            self._forget(name)
