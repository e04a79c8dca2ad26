"""Outcomes that are not values: a read not yet answered, and a definition that needs itself."""

from __future__ import annotations

from typing import Any


class Pending(Exception):
    """A wanted row is neither there nor known to be absent: whoever needs it keeps what it last had."""

    def __init__(self, table: str, key: Any) -> None:
        super().__init__(table, key)
        self.table = table
        self.key = key


class CycleError(Exception):
    """A query or collection was asked for while it was being computed; `path` are the names along the way."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(path))
        self.path = path


def same_error(a: BaseException, b: BaseException) -> bool:
    """Whether two failures are the same outcome, so that recomputation stops here. A cycle's path depends on who asked first."""
    return type(a) is type(b) and (isinstance(a, CycleError) or a.args == b.args)
