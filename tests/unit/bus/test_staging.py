"""The consumer's side of the snapshot protocol: under any interleaving and any crash, what is shown is one whole version."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bus.commit import Commit, split
from shared.bus.staging import Stages, Staging, Version, merge, younger
from shared.bus.wire import DELETED, EPOCH, Entry, Message
from shared.core.digest import Root, digest
from shared.core.refs import GatewayRef

GATEWAY = GatewayRef("default", "gw")
PREFIX = "ir.xds.default.gw."
State = dict[str, bytes]


def root_of(state: Mapping[str, bytes]) -> str:
    root = Root()
    for key, value in state.items():
        root.set(PREFIX + key, digest(value))
    return root.hex()


def commit_of(state: Mapping[str, bytes], version: int, epoch: int = 1, incarnation: str = "i", removed: bool = False) -> Commit:
    return Commit(incarnation=incarnation, epoch=epoch, version=version, root=root_of(state), shards=len(state), removed=removed)


def applied(state: State, version: Version) -> State:
    new = {} if version.full else dict(state)
    for key, value in version.changed.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new


def test_shards_are_shown_with_their_commit_only() -> None:
    staging = Staging(GATEWAY)
    assert staging.shard("a", b"1", 1) is None
    version = staging.commit(commit_of({"a": b"1"}, 1))
    assert version is not None
    assert (version.changed, version.full) == ({"a": b"1"}, True)


def test_a_repair_completes_a_version() -> None:
    staging = Staging(GATEWAY)
    staging.shard("a", b"stale", 1)
    assert staging.commit(commit_of({"a": b"1"}, 1, epoch=2)) is None
    assert staging.waits
    version = staging.shard("a", b"1", 2)
    assert version is not None
    assert version.changed == {"a": b"1"}


def test_a_shard_of_an_older_epoch_after_a_newer_commit_is_ignored() -> None:
    staging = Staging(GATEWAY)
    staging.shard("a", b"1", 2)
    staging.commit(commit_of({"a": b"1"}, 1, epoch=2))
    staging.shard("a", b"stale", 1)
    assert staging.commit(commit_of({"a": b"stale"}, 2, epoch=1)) is None
    staging.shard("b", b"2", 2)
    version = staging.commit(commit_of({"a": b"1", "b": b"2"}, 2, epoch=2))
    assert version is not None
    assert version.changed == {"b": b"2"}


def test_a_value_that_changes_back_before_its_commit_is_no_change() -> None:
    staging = Staging(GATEWAY)
    staging.shard("a", b"1", 1)
    staging.commit(commit_of({"a": b"1"}, 1))
    staging.shard("a", b"2", 1)
    staging.shard("a", b"1", 1)
    staging.shard("b", b"1", 1)
    version = staging.commit(commit_of({"a": b"1", "b": b"1"}, 2))
    assert version is not None
    assert version.changed == {"b": b"1"}


def test_reading_again_tells_differences_only() -> None:
    staging = Staging(GATEWAY)
    staging.shard("a", b"1", 1)
    staging.shard("b", b"1", 1)
    staging.commit(commit_of({"a": b"1", "b": b"1"}, 1))
    staging.restart()
    staging.shard("a", b"1", 1)
    staging.shard("b", b"1", 1)
    assert staging.commit(commit_of({"a": b"1", "b": b"1"}, 1)) is None
    staging.restart()
    staging.shard("a", b"2", 1)
    version = staging.commit(commit_of({"a": b"2"}, 1, incarnation="other"))
    assert version is not None
    assert (version.changed, version.full) == ({"a": b"2", "b": None}, False)


def test_a_gateway_that_was_removed_before_we_came_is_not_told() -> None:
    staging = Staging(GATEWAY)
    assert staging.commit(commit_of({}, 5, removed=True)) is None
    staging.shard("a", b"1", 1)
    version = staging.commit(commit_of({"a": b"1"}, 6))
    assert version is not None
    assert version.full


def test_versions_that_come_together_are_one_step() -> None:
    staging = Staging(GATEWAY)
    staging.shard("a", b"1", 1)
    first = staging.commit(msgspec.structs.replace(commit_of({"a": b"1"}, 1), causes=("x",)))
    staging.shard("a", None, 1)
    second = staging.commit(msgspec.structs.replace(commit_of({}, 2), causes=("y", "x")))
    assert first is not None
    assert second is not None
    both = merge(first, second)
    assert (both.version, both.changed, both.full, both.causes) == (2, {"a": None}, True, ("x", "y"))


def test_younger_names_what_may_hide_an_older_value() -> None:
    def at(key: str, seq: int) -> Message:
        return Message(PREFIX + key, Entry(b"", {}, seq, 0))

    assert younger([at("a", 1), at("commit", 2), at("b", 3), at("a", 4)]) == {GATEWAY: (2, [PREFIX + "b"])}
    assert younger([at("a", 1)]) == {}


keys = st.sampled_from(["a", "b", "c"])
edits = st.dictionaries(keys, st.one_of(st.none(), st.sampled_from([b"1", b"2", b"3"])), min_size=1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("version"), edits),
        st.tuples(st.just("crash"), edits),  # shards are out, the commit never comes; a new writer (epoch) takes over
        st.tuples(st.just("stale"), edits),  # a former writer's leftovers
        st.tuples(st.just("wipe"), st.just({})),
    ),
    max_size=12,
)


LAST: tuple[str, dict[str, bytes | None]] = ("version", {"a": b"last"})


class Stream:
    """A model of the stream and its writers: what the real ones do, without NATS."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.state: State = {}
        self.epoch, self.version, self.incarnation, self.seq = 2, 0, 0, 0
        self.whole: dict[tuple[str, int], State] = {}
        self.overheard: set[str] = set()

    def put(self, key: str, value: bytes | None, epoch: int) -> None:
        headers = {EPOCH: str(epoch)} | ({DELETED: "1"} if value is None else {})
        self.add(Message(PREFIX + key, Entry(value or b"", headers, 0, 0)))

    def add(self, message: Message) -> None:
        self.seq += 1
        self.messages.append(Message(message.subject, message.entry._replace(seq=self.seq)))

    def last(self, up_to: int | None = None) -> dict[str, Message]:
        return {m.subject: m for m in self.messages if up_to is None or m.entry.seq <= up_to}

    def close(self) -> None:
        """Overwrites every difference, then commits, as a writer does."""
        held = {split(s)[1]: None if m.entry.deleted else m.entry.value for s, m in self.last().items()}
        held.pop("commit", None)
        for key in sorted(held.keys() | self.state.keys()):
            if key in self.overheard or held.get(key) != self.state.get(key):
                self.put(key, self.state.get(key), self.epoch)
        self.overheard.clear()
        self.version += 1
        commit = commit_of(self.state, self.version, self.epoch, str(self.incarnation))
        self.whole[commit.incarnation, commit.version] = dict(self.state)
        self.add(Message(PREFIX + "commit", Entry(msgspec.json.encode(commit), {EPOCH: str(self.epoch)}, 0, 0)))

    def step(self, kind: str, edit: Mapping[str, bytes | None]) -> None:
        if kind == "version":
            self.state = {k: v for k, v in {**self.state, **edit}.items() if v is not None}
            self.close()
        elif kind == "crash":
            for key, value in edit.items():
                self.put(key, value, self.epoch)
            self.take_over()
        elif kind == "stale":
            for key, value in edit.items():
                self.put(key, value, self.epoch - 1)
            self.overheard |= edit.keys()

    def take_over(self) -> None:
        """A new writer heard nothing of what came before it; it reads what consumers ignored."""
        self.epoch += 1
        messages = self.last()
        commit = messages.get(PREFIX + "commit")
        at, floor = (commit.entry.seq, commit.entry.epoch) if commit else (0, 0)
        self.overheard = {split(s)[1] for s, m in messages.items() if m.entry.seq > at and m.entry.epoch < floor}


def read_from_the_start(stream: Stream) -> list[Message]:
    """What SnapshotReader gives its stages at the start."""
    initial = sorted(stream.last().values(), key=lambda m: m.entry.seq)
    older = [m for seq, subjects in younger(initial).values() for s, m in stream.last(seq).items() if s in subjects]
    return sorted((*older, *initial), key=lambda m: m.entry.seq)


@settings(max_examples=300)
@given(steps, st.integers(0, 12))
def test_whatever_happens_only_whole_versions_are_shown(script: list[tuple[str, dict[str, bytes | None]]], join: int) -> None:
    stream, live, late = Stream(), Stages(), None
    shown: State = {}
    late_shown: State = {}
    done = 0
    for i, (kind, edit) in enumerate([*script, LAST]):
        if kind == "wipe":
            stream.messages, stream.incarnation, stream.version, done = [], stream.incarnation + 1, 0, 0
            stream.epoch += 1
            stream.close()
            live.restart()
            if late is not None:
                late.restart()
        else:
            stream.step(kind, edit)
        if i == join:
            late = Stages()
            for version in late.take(read_from_the_start(stream)):
                late_shown = applied(late_shown, version)
                assert late_shown == stream.whole[version.incarnation, version.version]
        elif late is not None:
            for version in late.take(stream.messages[done:]):
                late_shown = applied(late_shown, version)
                assert late_shown == stream.whole[version.incarnation, version.version]
        for message in stream.messages[done:]:
            for version in live.take([message]):
                shown = applied(shown, version)
                assert shown == stream.whole[version.incarnation, version.version]
        done = len(stream.messages)
    assert shown == stream.state
    if late is not None:
        assert late_shown == stream.state
