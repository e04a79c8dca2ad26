"""Accumulators over a group's members, each O(log n) for a change of one member.

A reader of a fold runs again only if the accumulated value changes, not whenever a member does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

A_co = TypeVar("A_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
W = TypeVar("W")


class Accumulator(Protocol):
    def add(self, key: Any, value: Any) -> None: ...
    def remove(self, key: Any, value: Any) -> None: ...
    def result(self) -> Any: ...


class FoldKind(Protocol[V_co, A_co]):
    """How to start accumulating; `empty` is the value of a group without members."""

    @property
    def empty(self) -> A_co: ...
    def start(self) -> Accumulator: ...


class _Tally:
    def __init__(self, weight: Callable[[Any], Any], finish: Callable[[Any], Any]) -> None:
        self._weight, self._finish, self._sum = weight, finish, 0

    def add(self, key: Any, value: Any) -> None:
        self._sum += self._weight(value)

    def remove(self, key: Any, value: Any) -> None:
        self._sum -= self._weight(value)

    def result(self) -> Any:
        return self._finish(self._sum)


class Count:
    """How many members the group has."""

    empty = 0

    def start(self) -> Accumulator:
        return _Tally(lambda _: 1, lambda n: n)


class SumOf:
    """The sum of the members' numbers."""

    empty = 0

    def start(self) -> Accumulator:
        return _Tally(lambda v: v, lambda n: n)


class AnyOf:
    """Whether some member is true."""

    empty = False

    def start(self) -> Accumulator:
        return _Tally(lambda v: 1 if v else 0, lambda n: n > 0)


class _Ordered:
    def __init__(self, by: Callable[[Any], Any], pick: Callable[[list[Any]], Any]) -> None:
        self._by, self._pick = by, pick
        self._order: list[tuple[Any, Any]] = []
        self._values: dict[Any, Any] = {}

    def add(self, key: Any, value: Any) -> None:
        insort(self._order, (self._by(value), key))
        self._values[key] = value

    def remove(self, key: Any, value: Any) -> None:
        at = bisect_left(self._order, (self._by(value), key))
        del self._order[at]
        del self._values[key]

    def result(self) -> Any:
        return self._pick([self._values[k] for _, k in self._order])


class _Least(_Ordered):
    def result(self) -> Any:
        return self._values[self._order[0][1]]


class MinBy(Generic[W]):
    """The member with the least sort key (ties: the least source key); None for none."""

    empty: W | None = None

    def __init__(self, by: Callable[[W], Any]) -> None:
        self._by = by

    def start(self) -> Accumulator:
        return _Least(self._by, lambda values: values[0])


class SortedBy(Generic[W]):
    """All members as a tuple in the order of their sort keys (ties: source keys)."""

    empty: tuple[W, ...] = ()

    def __init__(self, by: Callable[[W], Any]) -> None:
        self._by = by

    def start(self) -> Accumulator:
        return _Ordered(self._by, tuple)


class _First(_Ordered):
    def __init__(self, by: Callable[[Any], Any], most: int) -> None:
        super().__init__(by, tuple)
        self._most = most

    def result(self) -> Any:
        return len(self._order), tuple(self._values[k] for _, k in self._order[: self._most])


class First(Generic[W]):
    """How many members there are, and the first few of them in the order of their sort keys: what a sentence can name."""

    empty: tuple[int, tuple[W, ...]] = (0, ())

    def __init__(self, most: int, by: Callable[[W], Any]) -> None:
        self._most = most
        self._by = by

    def start(self) -> Accumulator:
        return _First(self._by, self._most)
