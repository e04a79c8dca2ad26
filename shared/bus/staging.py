"""A consumer's side of the snapshot protocol, without I/O: shards are staged, and shown only when a commit's root equals theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.bus.commit import KEY, Commit, decode, shard_prefix, split
from shared.bus.wire import Entry, Message
from shared.core.digest import Root, digest
from shared.core.refs import GatewayRef


class Version(NamedTuple):
    """One whole version of a Gateway's IR.

    `changed`: key -> bytes (None = gone) since the version handed out before. `full`: nothing was handed out before, so `changed` is
    everything. `causes` are those of all versions since then: versions that came together are handed out as one.
    """

    gateway: GatewayRef
    version: int
    incarnation: str
    epoch: int
    root: str
    changed: Mapping[str, bytes | None]
    full: bool
    removed: bool
    causes: tuple[str, ...]
    commit: Commit
    trace: str


class Staging:
    """One Gateway. `shard` and `commit` take the stream's messages in order and answer the version that became whole, or None."""

    def __init__(self, gateway: GatewayRef) -> None:
        self.gateway = gateway
        self._prefix = shard_prefix(gateway)
        self._shown: dict[str, str] = {}
        self._shown_commit: Commit | None = None
        self._begin()

    def _begin(self) -> None:
        self._staged: dict[str, str] = {}
        self._root = Root()
        self._pending: dict[str, bytes | None] = {}
        self._awaiting: tuple[Commit, str] | None = None
        self._floor = 0
        self._fresh = bool(self._shown)

    @property
    def waits(self) -> bool:
        """A commit has come whose version is not whole here: a repair is due."""
        return self._awaiting is not None

    def restart(self) -> None:
        """The stream is read from its last values again; what was handed out stays known."""
        self._begin()

    def shard(self, key: str, value: bytes | None, epoch: int) -> Version | None:
        """Epochs older than the last commit's are a former writer's leftovers."""
        if epoch < self._floor:
            return None
        now = digest(value) if value is not None else None
        if self._staged.get(key) != now:
            if now is None:
                del self._staged[key]
            else:
                self._staged[key] = now
            self._root.set(self._prefix + key, now)
            if self._shown.get(key) == now:
                self._pending.pop(key, None)
            else:
                self._pending[key] = value
        return self._show()

    def commit(self, commit: Commit, trace: str = "") -> Version | None:
        if commit.epoch < self._floor:
            return None
        self._floor = commit.epoch
        self._awaiting = (commit, trace)
        return self._show()

    def _show(self) -> Version | None:
        if self._awaiting is None or self._root.hex() != self._awaiting[0].root:
            return None
        (commit, trace), self._awaiting = self._awaiting, None
        if self._fresh:
            self._pending.update(dict.fromkeys(self._shown.keys() - self._staged.keys()))
            self._fresh = False
        changed, self._pending = self._pending, {}
        for key in changed:
            now = self._staged.get(key)
            if now is None:
                self._shown.pop(key, None)
            else:
                self._shown[key] = now
        before, self._shown_commit = self._shown_commit, commit
        if before is not None and not changed and (before.incarnation, before.version) == (commit.incarnation, commit.version):
            return None  # read again, nothing new
        if before is None and commit.removed:
            self._shown_commit = None  # it never was, as far as anybody here was told
            return None
        full = before is None or before.removed
        c = commit
        return Version(self.gateway, c.version, c.incarnation, c.epoch, c.root, changed, full, c.removed, c.causes, c, trace)


def merge(first: Version, then: Version) -> Version:
    """Two versions of one Gateway as one step."""
    causes = tuple(dict.fromkeys((*first.causes, *then.causes)))
    return then._replace(changed={**first.changed, **then.changed}, full=first.full, causes=causes)


class Stages:
    """All Gateways of one reader."""

    def __init__(self) -> None:
        self._of: dict[GatewayRef, Staging] = {}

    @property
    def waits(self) -> bool:
        return any(s.waits for s in self._of.values())

    def restart(self) -> None:
        for staging in self._of.values():
            staging.restart()

    def take(self, messages: Iterable[Message]) -> list[Version]:
        """Messages in the stream's order; at most one version a Gateway, merged."""
        shown: dict[GatewayRef, Version] = {}
        for subject, entry in messages:
            gateway, key = split(subject)
            staging = self._of.get(gateway)
            if staging is None:
                staging = self._of[gateway] = Staging(gateway)
            version = _apply(staging, key, entry)
            if version is not None:
                shown[gateway] = merge(shown[gateway], version) if gateway in shown else version
        return list(shown.values())


def _apply(staging: Staging, key: str, entry: Entry) -> Version | None:
    if key != KEY:
        return staging.shard(key, None if entry.deleted else entry.value, entry.epoch)
    commit = decode(entry.value)
    return None if commit is None else staging.commit(commit, entry.headers.get("traceparent", ""))


def younger(messages: Sequence[Message]) -> dict[GatewayRef, tuple[int, list[str]]]:
    """Of the last values at the start: for each Gateway the sequence of its last commit, and the subjects first seen after it.

    Those may have had an older value in that commit's version, which must be read before the version can be whole.
    """
    commits: dict[GatewayRef, int] = {}
    first: dict[str, int] = {}
    for subject, entry in messages:
        gateway, key = split(subject)
        if key == KEY:
            commits[gateway] = entry.seq
        else:
            first.setdefault(subject, entry.seq)
    found: dict[GatewayRef, tuple[int, list[str]]] = {gateway: (seq, []) for gateway, seq in commits.items()}
    for subject, seq in first.items():
        at = found.get(split(subject)[0])
        if at is not None and seq > at[0]:
            at[1].append(subject)
    return {gateway: at for gateway, at in found.items() if at[1]}
