"""The message that closes a version: `ir.xds.<ns>.<name>.commit`."""

from __future__ import annotations

import msgspec

from shared.core import names
from shared.core.refs import GatewayRef

PREFIX = "ir.xds"
KEY = "commit"
MOST_CHANGED = 100


class Commit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Version `version` of one Gateway's IR: `shards` shards whose root hash (shared.core.digest.Root over subject and digest) is `root`.

    `changed` names the keys that differ from the version before, at most MOST_CHANGED of `changes`. `causes` are the objects that caused
    it, `<kind>/<ns>/<name>@<resourceVersion>`. `at` is RFC 3339. `removed`: the Gateway is gone; there are no shards.
    """

    incarnation: str
    epoch: int
    version: int
    root: str
    shards: int
    causes: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    changes: int = 0
    removed: bool = False
    at: str = ""


def shard_prefix(gateway: GatewayRef) -> str:
    return gateway.subject(PREFIX) + "."


def split(subject: str) -> tuple[GatewayRef, str]:
    """(Gateway, key) of a subject under `ir.xds.`; key 'commit' is the commit. ValueError for another shape."""
    tokens = subject.split(".", 4)
    if len(tokens) != 5 or tokens[0] != "ir" or tokens[1] != "xds":
        raise ValueError(f"not a shard's subject: {subject}")
    return GatewayRef(names.unescape(tokens[2]), names.unescape(tokens[3])), tokens[4]


def decode(data: bytes) -> Commit | None:
    """None for what is no commit."""
    try:
        return msgspec.json.decode(data, type=Commit)
    except msgspec.DecodeError:
        return None
