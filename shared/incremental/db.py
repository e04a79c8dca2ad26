"""A Db holds the rows, memos and groups of one computation. It is synchronous and belongs to one thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from shared.incremental.collecting import Collecting, GroupCell
from shared.incremental.definitions import ABSENT, Collection, Fold, Index, Table
from shared.incremental.errors import CycleError, Pending
from shared.incremental.graph import Cell, Computation, Graph
from shared.incremental.rows import Rows

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
I = TypeVar("I", bound=Hashable)  # noqa: E741
V = TypeVar("V")
A = TypeVar("A")


class Db:
    """`outputs` are the collections that `settle` keeps up to date; all else is computed when something reads it."""

    def __init__(self, outputs: Iterable[Collection[Any, Any]] = ()) -> None:
        self._graph = Graph(self._settle_mask)
        self._rows: dict[Table[Any, Any], Rows] = {}
        self._memos: dict[tuple[Callable[..., Any], tuple[Hashable, ...]], Computation] = {}
        self._collections: dict[Collection[Any, Any], Collecting] = {}
        self._by_bit: list[Collecting] = []
        self._wanted: list[Rows] = []
        self._outputs = tuple(outputs)
        for each in self._outputs:
            self._collecting(each).is_output = True

    # input

    def apply(self, changes: Mapping[Table[Any, Any], Mapping[Any, Any]]) -> None:
        """Sets rows; None deletes one, or in a wanted table answers that it is absent. An equal row changes nothing."""
        for table, rows in changes.items():
            self._table(table).apply(rows)

    # reading

    def get(self, table: Table[K, R], key: K) -> R | None:
        """A row or None. Raises Pending for a wanted row that is not known yet."""
        rows = self._table(table)
        self._graph.record(rows.row_cell(key))
        if rows.unknown(key):
            rows.unanswered.add(key)
            raise Pending(table.name, key)
        found: R | None = rows.data.get(key)
        return found

    def keys(self, index: Index[I, K], value: I) -> tuple[K, ...]:
        """The keys under an index value, sorted. Records membership only."""
        rows = self._table(index.table)
        self._graph.record(rows.index_cell(index, value))
        return rows.members(index, value)

    def all_keys(self, table: Table[K, Any]) -> tuple[K, ...]:
        """All keys of a table, sorted. Records membership only."""
        rows = self._table(table)
        self._graph.record(rows.membership)
        return tuple(sorted(rows.data))

    def group(self, collection: Collection[I, V], out: I) -> Mapping[Any, V]:
        """Source key -> value for one out key, sorted by source key; empty if there is none."""
        made = self._ready(collection)
        cell = made.group_cell(out)
        self._graph.record(cell)
        found: Mapping[Any, V] = cell.cached
        return found

    def fold(self, each: Fold[I, A], out: I) -> A:
        """A fold's value for one out key."""
        made = self._ready(each.collection)
        cell = made.fold_cell(each, out)
        self._graph.record(cell)
        value: A = cell.cached
        return value

    def ask(self, fn: Callable[..., Any], args: tuple[Hashable, ...]) -> Any:
        """The memoised `fn(self, *args)`: what a function decorated with `query` calls."""
        at = (fn, args)
        node = self._memos.get(at)
        if node is None:
            node = self._memos[at] = Computation(fn, (self, *args), home=(self._memos, at))
        return self._graph.read(node)

    # output

    def settle(self) -> None:
        """Brings all outputs up to date and forgets what nothing reads any more."""
        for each in self._outputs:
            made = self._collections[each]
            self._settle_mask(made.bit | made.mask)
        self._sweep()

    def drain(self, collection: Collection[I, V]) -> dict[I, tuple[Any, Any]]:
        """Out key -> (old, new) of all that changed since the last drain; ABSENT stands for no value."""
        made = self._collecting(collection)
        changed, made.undrained = made.undrained, {}
        pairs = ((out, old, made.single(out)) for out, old in changed.items())
        return {out: (old, new) for out, old, new in pairs if old is not new and (old is ABSENT or new is ABSENT or old != new)}  # type: ignore[misc]

    def failures(self, collection: Collection[Any, Any]) -> dict[Any, Exception]:
        """Source keys whose function raised, with what it raised."""
        return dict(self._collecting(collection).failures)

    def pending(self, collection: Collection[Any, Any]) -> frozenset[Any]:
        """Source keys that wait for a wanted row; their outputs are the last known."""
        return frozenset(self._collecting(collection).pending)

    def wants(self) -> frozenset[tuple[Table[Any, Any], Any]]:
        """The wanted tables' keys that something reads."""
        return frozenset((t, k) for t, rows in self._rows.items() if t.wanted for k, cell in rows.cells.items() if cell.readers)

    def unanswered(self, table: Table[K, Any]) -> frozenset[K]:
        """The keys of a wanted table that something reads and that nobody has answered; costs what they are, not what is wanted."""
        found: frozenset[Any] = frozenset(self._table(table).unanswered)
        return found

    def wanted(self, table: Table[K, Any], key: K) -> bool:
        """Whether something reads that row."""
        cell = self._table(table).cells.get(key)
        return cell is not None and bool(cell.readers)

    def unknown(self) -> frozenset[Any]:
        """The unanswered keys of all wanted tables."""
        return frozenset().union(*(rows.unanswered for rows in self._wanted))

    @property
    def evaluations(self) -> Counter[str]:
        """How often each function ran, by name."""
        return self._graph.evaluations

    def provenance(self, collection: Collection[I, Any], out: I) -> frozenset[tuple[Table[Any, Any], Any]]:
        """The rows that an output was computed from, through everything that it read."""
        made = self._collecting(collection)
        todo: list[Cell] = [made.members[k] for k in made.groups.get(out, ()) if k in made.members]
        seen: set[Cell] = set(todo)
        rows: set[tuple[Table[Any, Any], Any]] = set()
        tables = {id(r.cells): t for t, r in self._rows.items()}
        while todo:
            cell = todo.pop()
            if cell.home is not None and (table := tables.get(id(cell.home[0]))) is not None:
                rows.add((table, cell.home[1]))
            reads = cell.deps if isinstance(cell, Computation) else cell.sources() if isinstance(cell, GroupCell) else ()
            fresh = [d for d in reads if d not in seen]
            seen.update(fresh)
            todo += fresh
        return frozenset(rows)

    # inside

    def _table(self, table: Table[Any, Any]) -> Rows:
        rows = self._rows.get(table)
        if rows is None:
            rows = self._rows[table] = Rows(table, self._graph)
            if table.wanted:
                self._wanted.append(rows)
        return rows

    def _collecting(self, definition: Collection[Any, Any]) -> Collecting:
        made = self._collections.get(definition)
        if made is None:
            made = Collecting(self, self._graph, definition, 1 << len(self._by_bit))
            self._collections[definition] = made
            self._by_bit.append(made)
            source = definition.source
            if isinstance(source, Table):
                rows = self._table(source)
                rows.dependents.append(made)
                keys: Iterable[Any] = rows.data
            else:
                above = self._collecting(source)
                above.dependents.append(made)
                made.mask |= above.bit | above.mask
                keys = above.groups
            for key in list(keys):
                made.add_member(key)
        return made

    def _ready(self, collection: Collection[Any, Any]) -> Collecting:
        made = self._collecting(collection)
        if made.running:
            raise CycleError((*self._graph.names(), collection.name))
        self._settle_mask(made.bit | made.mask)
        return made

    def _settle_mask(self, mask: int) -> None:
        while todo := mask & self._graph.dirty_mask & ~self._graph.running_mask:
            bit = todo & -todo
            made = self._by_bit[bit.bit_length() - 1]
            source = made.definition.source
            if isinstance(source, Table):
                made.settle(self._table(source).data.__contains__)
            else:
                above = self._collections[source]
                self._settle_mask(above.bit | above.mask)
                made.settle(above.groups.__contains__)
            mask |= made.mask

    def _sweep(self) -> None:
        while self._graph.orphans:
            cell = self._graph.orphans.pop()
            if cell.readers or cell.home is None:
                continue
            home, at = cell.home
            if home.get(at) is cell:
                del home[at]
            if isinstance(cell, Computation):
                self._graph.drop(cell)
            for rows in self._wanted:
                if rows.cells is home:
                    rows.forget(at)
