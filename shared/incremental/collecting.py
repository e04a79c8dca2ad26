"""One collection's data within a Db: members (a computation per source key), groups, folds, and what changed since it was drained."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shared.incremental.definitions import ABSENT, Collection, Fold
from shared.incremental.errors import Pending
from shared.incremental.graph import Cell, Computation, Graph

if TYPE_CHECKING:
    from shared.incremental.db import Db
    from shared.incremental.folds import Accumulator

EMPTY: Mapping[Any, Any] = MappingProxyType({})


class GroupCell(Cell):
    """A group as it is read, or one fold of it."""

    __slots__ = ("cached", "held", "owner")

    def __init__(self, owner: Collecting, home: tuple[dict[Any, Any], Hashable]) -> None:
        super().__init__(home)
        self.owner = owner
        self.held = False
        self.cached: Any = None

    @property
    def mask(self) -> int:
        return self.owner.bit | self.owner.mask

    def sources(self) -> list[Cell]:
        """The computations that the group's members come from; none for a fold, which stands for all of them."""
        assert self.home is not None
        return [self.owner.members[k] for k in self.owner.groups.get(self.home[1], ()) if k in self.owner.members]


class Collecting:
    def __init__(self, db: Db, graph: Graph, definition: Collection[Any, Any], bit: int) -> None:
        self.definition = definition
        self.bit = bit
        self.mask = 0
        self.running = False
        self.is_output = False
        self.members: dict[Hashable, Computation] = {}
        self.dirty: dict[Hashable, None] = {}
        self.outputs: dict[Hashable, Mapping[Any, Any]] = {}
        self.groups: dict[Hashable, dict[Hashable, Any]] = {}
        self.cells: dict[Hashable, GroupCell] = {}
        self.fold_cells: dict[tuple[Fold[Any, Any], Hashable], GroupCell] = {}
        self.accumulators: dict[tuple[Fold[Any, Any], Hashable], Accumulator] = {}
        self.failures: dict[Hashable, Exception] = {}
        self.pending: set[Hashable] = set()
        self.undrained: dict[Hashable, Any] = {}
        self.dependents: list[Collecting] = []
        self._db = db
        self._graph = graph

    # members

    def add_member(self, key: Hashable) -> None:
        if key not in self.members:
            self.members[key] = Computation(self.definition.fn, (self._db, key), on_dirty=lambda: self._mark(key))
        self._mark(key)

    def remove_member(self, key: Hashable) -> None:
        self._mark(key)

    def _mark(self, key: Hashable) -> None:
        self.dirty[key] = None
        self._graph.dirty_mask |= self.bit

    def settle(self, source_has: Any) -> None:
        """Runs the members whose reads changed and updates groups and folds with what came out unequal."""
        self.running = True
        self._graph.running_mask |= self.bit
        try:
            while self.dirty:
                key = next(iter(self.dirty))
                del self.dirty[key]
                if source_has(key):
                    self._refresh(key)
                elif key in self.members:
                    self._graph.drop(self.members.pop(key))
                    self._replace(key, EMPTY)
                    self.failures.pop(key, None)
                    self.pending.discard(key)
        finally:
            self.running = False
            self._graph.running_mask &= ~self.bit
            if not self.dirty:
                self._graph.dirty_mask &= ~self.bit

    def _refresh(self, key: Hashable) -> None:
        node = self.members[key]
        self._graph.refresh(node)
        if node.mask & ~self.mask:
            self.mask |= node.mask
            for cell in (*self.cells.values(), *self.fold_cells.values()):
                self._graph.grow(cell, self.bit | self.mask)
        error = node.error
        if isinstance(error, Pending):
            self.pending.add(key)
            self.failures.pop(key, None)
            return
        self.pending.discard(key)
        if error is not None:
            self.failures[key] = error
            self._replace(key, EMPTY)
        else:
            self.failures.pop(key, None)
            self._replace(key, node.value)

    # groups

    def _replace(self, key: Hashable, new: Mapping[Any, Any]) -> None:
        old = self.outputs.get(key, EMPTY)
        if new:
            self.outputs[key] = new
        else:
            self.outputs.pop(key, None)
        for out, was in old.items():
            if out not in new:
                self._change(out, key, was, ABSENT)
        for out, now in new.items():
            was = old.get(out, ABSENT)
            if was is ABSENT or (was is not now and was != now):
                self._change(out, key, was, now)

    def _change(self, out: Hashable, key: Hashable, was: Any, now: Any) -> None:
        if self.is_output and out not in self.undrained:
            self.undrained[out] = self.single(out)
        group = self.groups.get(out)
        if group is None:
            group = self.groups[out] = {}
            for dependent in self.dependents:
                dependent.add_member(out)
        if now is ABSENT:
            del group[key]
        else:
            group[key] = now
        if not group:
            del self.groups[out]
            for dependent in self.dependents:
                dependent.remove_member(out)
        if (cell := self.cells.get(out)) is not None:
            cell.held = False
            self._graph.changed(cell)
        for each in self.definition.folds:
            self._fold(each, out, key, was, now)

    def _fold(self, each: Fold[Any, Any], out: Hashable, key: Hashable, was: Any, now: Any) -> None:
        at = (each, out)
        acc = self.accumulators.get(at)
        if acc is None:
            acc = self.accumulators[at] = each.kind.start()
        if was is not ABSENT:
            acc.remove(key, was)
        if now is not ABSENT:
            acc.add(key, now)
        if out not in self.groups:
            del self.accumulators[at]
        cell = self.fold_cells.get(at)
        if cell is not None and cell.held:
            before = cell.cached
            cell.cached = self.folded(each, out)
            if before is not cell.cached and before != cell.cached:
                self._graph.changed(cell)

    def folded(self, each: Fold[Any, Any], out: Hashable) -> Any:
        acc = self.accumulators.get((each, out))
        return each.kind.empty if acc is None else acc.result()

    def single(self, out: Hashable) -> Any:
        """The value under an out key, of the least source key where several give one; ABSENT for none."""
        group = self.groups.get(out)
        if not group:
            return ABSENT
        return next(iter(group.values())) if len(group) == 1 else group[min(group)]  # type: ignore[type-var]

    def group_cell(self, out: Hashable) -> GroupCell:
        cell = self.cells.get(out)
        if cell is None:
            cell = self.cells[out] = GroupCell(self, (self.cells, out))
        if not cell.held:
            group = self.groups.get(out)
            cell.cached = MappingProxyType({k: group[k] for k in sorted(group)}) if group else EMPTY  # type: ignore[type-var]
            cell.held = True
        return cell

    def fold_cell(self, each: Fold[Any, Any], out: Hashable) -> GroupCell:
        cell = self.fold_cells.get((each, out))
        if cell is None:
            cell = self.fold_cells[each, out] = GroupCell(self, (self.fold_cells, (each, out)))
            cell.cached = self.folded(each, out)
            cell.held = True
        return cell
