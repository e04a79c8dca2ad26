"""What a computation is made of: tables, indexes, queries, collections, folds. Definitions hold no data; a Db does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from shared.incremental.folds import FoldKind

if TYPE_CHECKING:
    from shared.incremental.db import Db

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
I = TypeVar("I", bound=Hashable)  # noqa: E741  the design's own letter for an index value
V = TypeVar("V")
A = TypeVar("A")
P = ParamSpec("P")


class _Absent:
    """No value: a key that a drained change added or removed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Table(Generic[K, R]):
    """Input rows by key. A `wanted` table knows three answers: a row, absent, and not known yet (Pending)."""

    def __init__(self, name: str, *, wanted: bool = False) -> None:
        self.name = name
        self.wanted = wanted
        self.indexes: list[Index[Any, K]] = []

    def index(self, name: str, by: Callable[[K, R], Iterable[I]]) -> Index[I, K]:
        """A secondary index: `by(key, row)` gives the values under which the row is found. It must not raise."""
        made: Index[I, K] = Index(f"{self.name}.{name}", self, by)
        self.indexes.append(made)
        return made

    def __repr__(self) -> str:
        return f"Table({self.name})"


class Index(Generic[I, K]):
    """Index value -> keys of a table's rows. Reading it records membership, never rows."""

    def __init__(self, name: str, table: Table[K, Any], by: Callable[[K, Any], Iterable[I]]) -> None:
        self.name = name
        self.table = table
        self.by = by

    def __repr__(self) -> str:
        return f"Index({self.name})"


class Collection(Generic[I, V]):
    """A derived multimap: `fn(db, source key)` gives {out key: value}, and values group by out key.

    `source` is a Table (its keys) or another Collection (the keys of its groups). Only source keys whose reads changed run again.
    """

    def __init__(self, name: str, *, source: Table[Any, Any] | Collection[Any, Any], fn: Callable[[Db, Any], Mapping[I, V]]) -> None:
        self.name = name
        self.source = source
        self.fn = fn
        self.folds: list[Fold[I, Any]] = []

    def __repr__(self) -> str:
        return f"Collection({self.name})"


class Fold(Generic[I, A]):
    """One accumulated value for each group of a collection."""

    def __init__(self, collection: Collection[I, Any], name: str, kind: FoldKind[Any, A]) -> None:
        self.name = f"{collection.name}.{name}"
        self.collection = collection
        self.kind = kind

    def __repr__(self) -> str:
        return f"Fold({self.name})"


def fold(collection: Collection[I, V], name: str, kind: FoldKind[V, A]) -> Fold[I, A]:
    """Declares a fold over the collection's groups; to be done where the collection is defined, before any Db uses it."""
    made: Fold[I, A] = Fold(collection, name, kind)
    collection.folds.append(made)
    return made


def query(fn: Callable[Concatenate[Db, P], R]) -> Callable[Concatenate[Db, P], R]:
    """Memoises a pure, synchronous function of the Db per arguments (positional, hashable)."""

    def ask(db: Db, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise TypeError(f"{fn.__name__}: a query takes positional arguments only")
        value: R = db.ask(fn, args)
        return value

    functools.update_wrapper(ask, fn)
    return ask
