"""The bus protocol's constants: streams, headers, and how a deletion looks. docs/bus.md tells the same to other languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

EPOCH = "Headgate-Epoch"
DELETED = "Headgate-Deleted"
CAUSES = "Headgate-Causes"
TRACE = "traceparent"

TTL = "Nats-TTL"
ROLLUP = "Nats-Rollup"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
_SERVER_MARKER = "Nats-Marker-Reason"  # nats-server's own tombstone when a message's TTL has passed

TOMBSTONE_SECONDS = 30 * 24 * 3600
"""How long a deletion stays readable: longer than any outage."""

INCARNATION = "headgate.incarnation"
"""Key in a stream's metadata. A stream that is created again gets a new value; versions compare only within one."""

HISTORY = 64


class StreamSpec(NamedTuple):
    """`per_subject`: values kept for each subject, -1 all. `marker_ttl`: seconds that the server's own marker of an expired value stays."""

    name: str
    subjects: tuple[str, ...]
    per_subject: int = 1
    marker_ttl: int = 0

    def config(self, replicas: int, incarnation: str) -> dict[str, Any]:
        """The body of $JS.API.STREAM.CREATE."""
        config: dict[str, Any] = {
            "name": self.name,
            "subjects": list(self.subjects),
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "max_msgs_per_subject": self.per_subject,
            "num_replicas": replicas,
            "allow_direct": True,
            "allow_msg_ttl": True,
            "allow_rollup_hdrs": True,
            "metadata": {INCARNATION: incarnation},
        }
        if self.marker_ttl:
            config["subject_delete_marker_ttl"] = self.marker_ttl * 1_000_000_000
        return config


RESOURCES = StreamSpec("RESOURCES", ("resources.>",))
IR = StreamSpec("IR", ("ir.>",), per_subject=HISTORY)
STATUS = StreamSpec("STATUS", ("status.>",), marker_ttl=3600)
FACTS = StreamSpec("FACTS", ("facts.>",))
WANTS = StreamSpec("WANTS", ("wants.>",))
HOOKS = StreamSpec("HOOKS", ("hooks.>",))
"""What extension servers last answered, by what it is about."""
LEASES = StreamSpec("KV_LEASES", ("$KV.LEASES.>",))
"""A NATS KV bucket (`nats kv get LEASES <name>` reads it)."""

MODULES = StreamSpec("OBJ_WASM", ("$O.WASM.>",), per_subject=-1)
"""A NATS Object Store bucket (`nats object ls WASM` reads it)."""

STREAMS = (RESOURCES, IR, STATUS, FACTS, WANTS, HOOKS, LEASES, MODULES)
_BY_TOKEN = {s.subjects[0].split(".", 1)[0]: s for s in STREAMS}


def stream_of(subject: str) -> StreamSpec:
    """The stream that holds a subject or filter; KeyError if none does."""
    return _BY_TOKEN[subject.split(".", 1)[0]]


class Entry(NamedTuple):
    """One stored message: `seq` in its stream, `time` in seconds since 1970 (set by the server)."""

    value: bytes
    headers: Mapping[str, str]
    seq: int
    time: float

    @property
    def deleted(self) -> bool:
        return DELETED in self.headers or _SERVER_MARKER in self.headers

    @property
    def epoch(self) -> int:
        """The writer's epoch, 0 where it named none."""
        text = self.headers.get(EPOCH, "")
        return int(text) if text.isdigit() else 0


class Message(NamedTuple):
    subject: str
    entry: Entry


class Outgoing(NamedTuple):
    subject: str
    value: bytes
    headers: Mapping[str, str]


def tombstone(subject: str, headers: Mapping[str, str], ttl: int | None = TOMBSTONE_SECONDS) -> Outgoing:
    """A deletion. Where a stream keeps history the caller says how it ends: an expiring tombstone would bring older values back."""
    extra = {DELETED: "1"} if ttl is None else {DELETED: "1", TTL: f"{ttl}s"}
    return Outgoing(subject, b"", {**headers, **extra})


def seconds(stamp: str) -> float:
    """RFC 3339 with nanoseconds, as nats-server writes it, as seconds since 1970."""
    head, _, fraction = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(head + "+00:00").timestamp() + float("0." + (fraction or "0"))
