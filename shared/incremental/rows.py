"""One table's rows within a Db, their cells and secondary indexes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from shared.incremental.definitions import Index, Table
from shared.incremental.graph import Cell, Graph

if TYPE_CHECKING:
    from shared.incremental.collecting import Collecting


class Rows:
    def __init__(self, table: Table[Any, Any], graph: Graph) -> None:
        self.table = table
        self.data: dict[Any, Any] = {}
        self.cells: dict[Hashable, Cell] = {}
        self.membership = Cell()
        self.dependents: list[Collecting] = []
        self._absent: set[Hashable] = set()
        self.unanswered: set[Hashable] = set()
        """Keys that something read while they were unknown, and that nobody has answered."""
        self._graph = graph
        self._index: dict[Index[Any, Any], dict[Hashable, set[Any]]] = {i: {} for i in table.indexes}
        self._index_cells: dict[tuple[Index[Any, Any], Hashable], Cell] = {}

    def apply(self, rows: Mapping[Any, Any]) -> None:
        for key, new in rows.items():
            self.unanswered.discard(key)
            old = self.data.get(key)
            if new is None and old is None:
                if self.table.wanted and key not in self._absent:
                    self._absent.add(key)
                    self._touch(self.cells.get(key))
                continue
            if old is not None and new is not None and (old is new or old == new):
                continue
            self._set(key, old, new)

    def _set(self, key: Any, old: Any, new: Any) -> None:
        if new is None:
            del self.data[key]
            # a row that nothing wants any more is not known to be absent: whoever wants it next asks again
            if self.table.wanted and (cell := self.cells.get(key)) is not None and cell.readers:
                self._absent.add(key)
        else:
            self.data[key] = new
            self._absent.discard(key)
        for index in self.table.indexes:
            self._reindex(index, key, old, new)
        self._touch(self.cells.get(key))
        if old is None or new is None:
            self._touch(self.membership)
            for dependent in self.dependents:
                (dependent.add_member if old is None else dependent.remove_member)(key)

    def _reindex(self, index: Index[Any, Any], key: Any, old: Any, new: Any) -> None:
        before = set(index.by(key, old)) if old is not None else set()
        after = set(index.by(key, new)) if new is not None else set()
        entries = self._index.setdefault(index, {})
        for value in before - after:
            entries[value].discard(key)
            if not entries[value]:
                del entries[value]
        for value in after - before:
            entries.setdefault(value, set()).add(key)
        for value in before ^ after:
            self._touch(self._index_cells.get((index, value)))

    def _touch(self, cell: Cell | None) -> None:
        if cell is not None:
            self._graph.changed(cell)

    def forget(self, key: Hashable) -> None:
        """Nothing wants the row any more: should it be wanted again, its absence must be told anew."""
        self._absent.discard(key)
        self.unanswered.discard(key)

    def unknown(self, key: Hashable) -> bool:
        return self.table.wanted and key not in self.data and key not in self._absent

    def row_cell(self, key: Hashable) -> Cell:
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = Cell((self.cells, key))
        return cell

    def index_cell(self, index: Index[Any, Any], value: Hashable) -> Cell:
        cell = self._index_cells.get((index, value))
        if cell is None:
            cell = self._index_cells[index, value] = Cell((self._index_cells, (index, value)))
        return cell

    def members(self, index: Index[Any, Any], value: Hashable) -> tuple[Any, ...]:
        return tuple(sorted(self._index.get(index, {}).get(value, ())))
