"""What an extension server is asked, as data: the question, what it is about, and what came of it. No I/O."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

Kinds = frozenset[tuple[str, str]]
"""Groups and kinds."""


class Server(NamedTuple):
    """One extension server. `generation` stands for its configuration: with another one everything is asked anew.

    `includes` is what the Translation hook gets of a Gateway (keys of `protocol.INCLUDED`).
    """

    name: str
    hooks: frozenset[str]
    fail_open: bool = False
    resources: Kinds = frozenset()
    policies: Kinds = frozenset()
    includes: frozenset[str] = frozenset()
    generation: str = ""


class Given(NamedTuple):
    """An object of an extension server's kind, as JSON."""

    group: str
    kind: str
    data: bytes


def of_kinds(objects: tuple[Given, ...], kinds: Kinds) -> tuple[bytes, ...]:
    """What of the objects is handed to a server of those kinds: all, where it names none."""
    return tuple(o.data for o in objects if not kinds or (o.group, o.kind) in kinds)


class Slot(NamedTuple):
    """What an answer is about: its place, which stays while question and answer change. Unique within a Gateway."""

    server: str
    hook: str
    resource: str


class Ask(NamedTuple):
    """One question. `digest` stands for it and for who is asked; a Translation's request is written only when it is sent (b'')."""

    server: str
    hook: str
    resource: str
    digest: str
    request: bytes = b""

    @property
    def slot(self) -> Slot:
        return Slot(self.server, self.hook, self.resource)


class Answer(NamedTuple):
    """`body` takes the resource's place (None: it stays as it was). `withheld`: there is no answer, and without one it is not shown.
    `stands_in`: its server has not said so, of this question; a body is from before, and may lead to what is there no more."""

    body: bytes | None = None
    withheld: bool = False
    stands_in: bool = False


def ask(server: Server, hook: str, resource: str, request: bytes) -> Ask:
    digest = hashlib.blake2b(digest_size=16)
    # the request names its resource; of two that are alike in all one answer serves both
    for part in (server.generation, server.name, hook):
        digest.update(part.encode() + b"\0")
    digest.update(request)
    return Ask(server.name, hook, resource, digest.hexdigest(), request)
