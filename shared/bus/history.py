"""Versions of the past, read back from the stream: for history, diff and rollback."""

from __future__ import annotations

from typing import NamedTuple

from shared.bus import commit as commits
from shared.bus import direct
from shared.bus.commit import Commit
from shared.bus.connection import Bus
from shared.bus.errors import BusError
from shared.bus.wire import HISTORY, IR
from shared.core.digest import Root, digest
from shared.core.refs import GatewayRef


class VersionGone(BusError):
    """The stream does not hold all of this version any more."""


class Recorded(NamedTuple):
    """A commit, with its sequence in the stream and the server's time (seconds since 1970)."""

    commit: Commit
    seq: int
    time: float


async def gateways(bus: Bus) -> list[GatewayRef]:
    """Every Gateway that the stream holds a commit of, and that is not removed."""
    found = await direct.subjects(bus, IR.name, f"{commits.PREFIX}.*.*.{commits.KEY}")
    last = await direct.last_of(bus, IR.name, sorted(found))
    return [commits.split(m.subject)[0] for m in last if (c := commits.decode(m.entry.value)) is not None and not c.removed]


async def recorded(bus: Bus, gateway: GatewayRef) -> list[Recorded]:
    """The Gateway's commits that the stream still holds, oldest first."""
    messages = await direct.all_of(bus, IR.name, commits.shard_prefix(gateway) + commits.KEY, HISTORY)
    return [Recorded(c, m.entry.seq, m.entry.time) for m in messages if (c := commits.decode(m.entry.value)) is not None]


async def commits_of(bus: Bus, gateway: GatewayRef) -> list[Commit]:
    """`recorded` without where it stands."""
    return [r.commit for r in await recorded(bus, gateway)]


async def shards_at(bus: Bus, gateway: GatewayRef, version: int) -> dict[str, bytes]:
    """One version's shards, key -> bytes, proven by its root. VersionGone where history does not reach that far."""
    at = next((r for r in reversed(await recorded(bus, gateway)) if r.commit.version == version), None)
    if at is None:
        raise VersionGone(f"version {version} of {gateway} is not in the stream")
    prefix = commits.shard_prefix(gateway)
    subjects = await direct.subjects(bus, IR.name, prefix + ">")
    subjects.pop(prefix + commits.KEY, None)
    messages = await direct.last_of(bus, IR.name, sorted(subjects), at.seq)
    shards = {m.subject[len(prefix) :]: m.entry.value for m in messages if not m.entry.deleted}
    root = Root()
    for key, value in shards.items():
        root.set(prefix + key, digest(value))
    if root.hex() != at.commit.root:
        raise VersionGone(f"the stream does not hold all of version {version} of {gateway} any more")
    return shards


async def collect(bus: Bus, older_than: float) -> int:
    """Removes what is left of Gateways whose removal was committed before `older_than` (seconds since 1970); how many."""
    found = await direct.subjects(bus, IR.name, f"{commits.PREFIX}.*.*.{commits.KEY}")
    gone = [
        commits.shard_prefix(commits.split(m.subject)[0])
        for m in await direct.last_of(bus, IR.name, sorted(found))
        if (c := commits.decode(m.entry.value)) is not None and c.removed and m.entry.time < older_than
    ]
    for prefix in gone:
        await direct.purge(bus, IR.name, prefix + ">")
    return len(gone)
