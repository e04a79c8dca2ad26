"""Joining already-serialised parts: a virtual host is its routes, a RouteConfiguration its virtual hosts, in an order kept as it changes.

A protobuf repeated field is the concatenation of its members, so one changed route costs its own rendering and one join.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from shared.incremental.folds import FoldKind

MODULUS = 1 << 128


class Part(NamedTuple):
    """One member of a repeated field: its place, its framed bytes, a digest over both, the largest direct response in it."""

    order: Any
    data: bytes
    digest: int
    largest_body: int = 0


class Parts(tuple[Part, ...]):
    """Members that one source gives."""

    __slots__ = ()


class Joined:
    """Parts in order. Two are equal when their digests are; what it holds is valid until the next change is settled."""

    __slots__ = ("_rows", "digest", "first", "largest_body")

    def __init__(self, rows: list[tuple[Any, Any, int, Part]], digest: int, largest_body: int) -> None:
        self._rows = rows
        self.digest = digest
        self.first = rows[0][0] if rows else ()
        self.largest_body = largest_body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Joined) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def data(self) -> list[bytes]:
        return [row[3].data for row in self._rows]

    def best_of_each(self, by: Callable[[Any], Any], rank: Callable[[Any], Any]) -> list[bytes]:
        """Of parts whose orders are alike for `by`, only the first of those with the smallest rank."""
        kept: dict[Any, tuple[Any, bytes]] = {}
        for row in self._rows:
            key, at = by(row[0]), rank(row[0])
            if key not in kept or at < kept[key][0]:
                kept[key] = (at, row[3].data)
        return [data for _, data in kept.values()]


class _Joining:
    def __init__(self) -> None:
        self._rows: list[tuple[Any, Any, int, Part]] = []
        self._digest = 0
        self._bodies: dict[tuple[Any, int], int] = {}

    def add(self, key: Any, value: Parts) -> None:
        for n, part in enumerate(value):
            insort(self._rows, (part.order, key, n, part))
            self._digest = (self._digest + part.digest) % MODULUS
            if part.largest_body:
                self._bodies[key, n] = part.largest_body

    def remove(self, key: Any, value: Parts) -> None:
        for n, part in enumerate(value):
            del self._rows[bisect_left(self._rows, (part.order, key, n))]
            self._digest = (self._digest - part.digest) % MODULUS
            self._bodies.pop((key, n), None)

    def result(self) -> Joined:
        return Joined(self._rows, self._digest, max(self._bodies.values(), default=0))


class JoinParts:
    """Fold over Parts; its result is Joined."""

    empty = Joined([], 0, 0)

    def start(self) -> _Joining:
        return _Joining()


class _Only:
    def __init__(self, kind: type[Any], inner: FoldKind[Any, Any]) -> None:
        self._kind, self._inner = kind, inner.start()
        self._empty, self._count = inner.empty, 0

    def add(self, key: Any, value: Any) -> None:
        if isinstance(value, self._kind):
            self._inner.add(key, value)
            self._count += 1

    def remove(self, key: Any, value: Any) -> None:
        if isinstance(value, self._kind):
            self._inner.remove(key, value)
            self._count -= 1

    def result(self) -> Any:
        return self._inner.result() if self._count else self._empty


class Only:
    """Another fold, over those values of a collection that are of one type: one collection can give several kinds of values."""

    def __init__(self, kind: type[Any], inner: FoldKind[Any, Any]) -> None:
        self._kind, self._inner = kind, inner

    @property
    def empty(self) -> Any:
        return self._inner.empty

    def start(self) -> _Only:
        return _Only(self._kind, self._inner)


class Named(dict[str, Any]):
    """Things by name that one source needs to be somewhere, once for all who need them."""


class _Uniting:
    def __init__(self) -> None:
        self._values: dict[str, tuple[list[Any], dict[Any, Any]]] = {}

    def add(self, key: Any, value: Named) -> None:
        for name, each in value.items():
            keys, values = self._values.setdefault(name, ([], {}))
            insort(keys, key)
            values[key] = each

    def remove(self, key: Any, value: Named) -> None:
        for name in value:
            keys, values = self._values[name]
            del keys[bisect_left(keys, key)]
            del values[key]
            if not keys:
                del self._values[name]

    def result(self) -> dict[str, Any]:
        return {name: values[keys[0]] for name, (keys, values) in sorted(self._values.items())}


class Unite:
    """Fold over Named: everything that any member names; where several say different things, what the least source key says."""

    empty: Mapping[str, Any] = MappingProxyType({})

    def start(self) -> _Uniting:
        return _Uniting()
