"""Cells, computations, and how dirt travels between them.

Dirt is pushed along reverse edges when a cell changes: direct readers become DIRTY, all that stand behind them CHECK, each with
its `suspects`. Asking a CHECK computation then verifies only its suspects, never all that it reads.
`mask` is the set of collections (a bit each) that a cell may depend on: before a computation is believed to be clean, those of
them that have work to do are settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Set
from typing import Any

from shared.incremental.errors import CycleError, same_error

CLEAN, CHECK, DIRTY = 0, 1, 2


class Cell:
    """Something that can be read: a row, an index entry, a group, a fold's value."""

    __slots__ = ("home", "readers")

    def __init__(self, home: tuple[dict[Any, Any], Hashable] | None = None) -> None:
        self.readers: set[Computation] = set()
        self.home = home
        """Where the cell is kept while something reads it."""

    @property
    def mask(self) -> int:
        return 0


class Computation(Cell):
    """A memoised call. Its outcome is a value or an exception."""

    __slots__ = ("_mask", "args", "deps", "error", "fn", "on_dirty", "running", "state", "suspects", "value")

    def __init__(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        on_dirty: Callable[[], None] | None = None,
        home: tuple[dict[Any, Any], Hashable] | None = None,
    ) -> None:
        super().__init__(home)
        self.fn = fn
        self.args = args
        self.on_dirty = on_dirty
        self.state = DIRTY
        self.running = False
        self.suspects: set[Computation] = set()
        self.deps: dict[Cell, None] = {}
        self.value: Any = None
        self.error: Exception | None = None
        self._mask = 0

    @property
    def mask(self) -> int:
        return self._mask

    @property
    def name(self) -> str:
        """The function and its arguments; the first is the Db."""
        return f"{getattr(self.fn, '__name__', self.fn)}({', '.join(map(repr, self.args[1:]))})"


class Graph:
    """The dependency graph of one Db. `settle_mask` is called before reads that may depend on unsettled collections."""

    def __init__(self, settle_mask: Callable[[int], None]) -> None:
        self._settle_mask = settle_mask
        self._stack: list[Computation] = []
        self._met: dict[Computation, set[Computation]] = {}
        """Computations under way that were read meanwhile, and by whom: a cycle."""
        self.dirty_mask = 0
        self.running_mask = 0
        self.orphans: set[Cell] = set()
        self.evaluations: Counter[str] = Counter()

    # reading

    def record(self, cell: Cell) -> None:
        """Notes that the computation under way reads this cell."""
        if self._stack:
            top = self._stack[-1]
            top.deps[cell] = None
            top._mask |= cell.mask
            cell.readers.add(top)
        elif not cell.readers:
            self.orphans.add(cell)

    def read(self, node: Computation) -> Any:
        """The outcome of a computation, brought up to date; raises the exception that it ended with."""
        if node.running:
            self.record(node)
            self._met.setdefault(node, set()).update(self._stack[-1:])
            raise CycleError((*self.path(node), node.name))
        try:
            self.refresh(node)
        finally:
            self.record(node)
        if node.error is not None:
            raise node.error.with_traceback(None)
        return node.value

    def path(self, start: Computation) -> tuple[str, ...]:
        names = [n.name for n in self._stack]
        return tuple(names[names.index(start.name) :]) if start.name in names else tuple(names)

    def names(self) -> tuple[str, ...]:
        return tuple(n.name for n in self._stack)

    # bringing up to date

    def refresh(self, node: Computation) -> None:
        if node._mask & self.running_mask and node.on_dirty is None:
            # it may read a group that is being computed right now: only running it again can tell
            node.state = DIRTY
        elif node._mask & self.dirty_mask:
            self._settle_mask(node._mask)
        if node.state == CHECK:
            node.running = True
            try:
                self._verify(node)
            finally:
                node.running = False
        if node.state == DIRTY:
            self._run(node)

    def _verify(self, node: Computation) -> None:
        suspects = node.suspects
        order = suspects if len(suspects) == 1 else [d for d in node.deps if d in suspects]
        for suspect in tuple(order):
            assert isinstance(suspect, Computation)
            if not suspect.running:
                self.refresh(suspect)
            if node.state == DIRTY:
                return
        node.suspects = set()
        node.state = CLEAN

    def _run(self, node: Computation) -> None:
        self.evaluations[getattr(node.fn, "__name__", "?")] += 1
        before, error_before, mask_before, deps_before = node.value, node.error, node._mask, node.deps
        first = not deps_before and before is None and error_before is None
        node.deps, node._mask, node.running = {}, 0, True
        self._stack.append(node)
        value: Any = None
        error: Exception | None = None
        try:
            value = node.fn(*node.args)
        except Exception as e:
            error = e
        finally:
            self._stack.pop()
            node.running = False
        node.state, node.suspects = CLEAN, set()
        for dep in deps_before:
            if dep not in node.deps:
                self.forget_reader(dep, node)
        if node._mask & ~mask_before:
            self.grow(node, node._mask)
        same = (
            same_error(error, error_before)
            if error is not None and error_before is not None
            else (error is None and error_before is None and not first and _equal(before, value))
        )
        if not same:
            node.value, node.error = value, error
            # who ran into it meanwhile knows: dirt that went round the circle would leave it, and what reads it later, half clean
            self.changed(node, self._met.pop(node, frozenset()))
        else:
            self._met.pop(node, None)

    # dirt

    def changed(self, cell: Cell, knowing: Set[Computation] = frozenset()) -> None:
        """A cell has another content: its readers (but for those `knowing`) must run again, what stands behind them may have to."""
        for reader in cell.readers:
            if reader in knowing:
                continue
            was = reader.state
            reader.state = DIRTY
            if was == CLEAN:
                self._spread(reader)

    def _spread(self, start: Computation) -> None:
        todo = [start]
        while todo:
            node = todo.pop()
            if node.on_dirty is not None:
                node.on_dirty()
            for reader in node.readers:
                reader.suspects.add(node)
                if reader.state == CLEAN:
                    reader.state = CHECK
                    todo.append(reader)

    def grow(self, cell: Cell, mask: int) -> None:
        """A cell depends on more collections than its readers know of."""
        todo = [cell]
        while todo:
            for reader in todo.pop().readers:
                if mask & ~reader._mask:
                    reader._mask |= mask
                    todo.append(reader)

    # forgetting

    def forget_reader(self, cell: Cell, reader: Computation) -> None:
        cell.readers.discard(reader)
        if not cell.readers:
            self.orphans.add(cell)

    def drop(self, node: Computation) -> None:
        """The computation is not needed any more; it no longer reads anything."""
        for dep in node.deps:
            self.forget_reader(dep, node)
        node.deps = {}
        node.state = DIRTY


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    try:
        return bool(a == b)
    except Exception:
        return False
