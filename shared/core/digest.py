"""Content digests and the root hash that closes a version.

The root is a sum modulo 2**256 over the members, so both sides of the bus keep it by adding and subtracting what changed,
whatever the order in which shards arrive.
"""

from __future__ import annotations

import hashlib

MODULUS = 1 << 256


def digest(content: bytes) -> str:
    """SHA-256 of a shard's bytes, hex."""
    return hashlib.sha256(content).hexdigest()


def member(subject: str, content_digest: str) -> int:
    """What one shard adds to its snapshot's root."""
    return int.from_bytes(hashlib.sha256(f"{subject}\0{content_digest}".encode()).digest(), "big")


class Root:
    """The running root of a set of shards. `set` replaces, removes (None) or adds one member."""

    __slots__ = ("_members", "_sum")

    def __init__(self) -> None:
        self._members: dict[str, int] = {}
        self._sum = 0

    def set(self, subject: str, content_digest: str | None) -> None:
        old = self._members.pop(subject, 0)
        new = 0
        if content_digest is not None:
            new = self._members[subject] = member(subject, content_digest)
        self._sum = (self._sum - old + new) % MODULUS

    def hex(self) -> str:
        return f"{self._sum:064x}"

    def __len__(self) -> int:
        return len(self._members)
