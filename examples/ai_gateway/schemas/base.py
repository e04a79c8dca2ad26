"""What every schema does, as types: one request out, one response back, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

Json = dict[str, Any]


UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading JSON raises that is none, or not what was expected."""


class Refused(ValueError):
    """A request that this server cannot be asked; the text is for the client."""


class Tokens(NamedTuple):
    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


class Outgoing(NamedTuple):
    """What the server is asked instead of what the client said."""

    path: str
    body: bytes
    headers: Mapping[str, str] = {}


class Reader(Protocol):
    """One response on its way back: what comes in is given, what goes out is returned; at the end the tokens are known."""

    tokens: Tokens

    def feed(self, data: bytes, end: bool) -> bytes: ...


class Schema(Protocol):
    def request(self, body: Json, path: str, model: str) -> Outgoing:
        """Raises Refused. `path` is what follows the route's prefix, with its query; `model` the name that the server knows."""
        ...

    def reader(self, asked: Json, status: int, content_type: str) -> Reader: ...

    def credentials(self, key: str) -> tuple[str, str]:
        """Header and value."""
        ...


class Whole:
    """A response that is JSON as a whole: kept until its end. What cannot be read passes as it is."""

    def __init__(self) -> None:
        self.tokens = Tokens()
        self._parts: list[bytes] = []
        self._data = b""

    def feed(self, data: bytes, end: bool) -> bytes:
        self._parts.append(data)
        if not end:
            return b""
        self._data = b"".join(self._parts)
        try:
            value = json.loads(self._data)
            return self.whole(value) if isinstance(value, dict) else self._data
        except UNREADABLE:
            return self._data

    def whole(self, value: Json) -> bytes:
        return self._data


class Events:
    """A stream of server-sent events: each is looked at when it is there, and passed on at once."""

    def __init__(self) -> None:
        self.tokens = Tokens()
        self._rest = b""

    def feed(self, data: bytes, end: bool) -> bytes:
        text = (self._rest + data).replace(b"\r\n", b"\n")
        *events, self._rest = text.split(b"\n\n")
        if end and self._rest.strip():
            events, self._rest = [*events, self._rest], b""
        out = [self._one(each) for each in events if each.strip()]
        return b"".join((*out, self.last() if end else b""))

    def _one(self, raw: bytes) -> bytes:
        lines = [line[5:].strip() for line in raw.split(b"\n") if line.startswith(b"data:")]
        try:
            value = json.loads(b"\n".join(lines))
            return self.event(value, raw) if isinstance(value, dict) else raw + b"\n\n"
        except UNREADABLE:
            return self.other(raw)

    def event(self, value: Json, raw: bytes) -> bytes:
        return raw + b"\n\n"

    def other(self, raw: bytes) -> bytes:
        """Of an event that is no JSON."""
        return raw + b"\n\n"

    def last(self) -> bytes:
        return b""


def event(value: Json | str) -> bytes:
    """A server-sent event."""
    return b"data: " + (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode() + b"\n\n"


def number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def is_stream(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"
