"""RFC 6902 on plain JSON, as patches of Envoy's configuration need it: `add` makes the objects and arrays on the way to its path."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any


class PatchError(ValueError):
    """Names the operation and what stands in its way."""


def apply(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """The patched document; the given one is left as it is."""
    return consume(copy.deepcopy(document), operations)


def consume(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """As `apply`, of a document that nobody needs any more: it may come out changed even if an operation fails."""
    for operation in operations:
        try:
            document = _one(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as e:
            raise PatchError(f"unable to apply patch: op={operation.get('op')} path={operation.get('path')}: {e}") from e
    return document


def _one(document: Any, operation: Mapping[str, Any]) -> Any:
    op = operation.get("op")
    path = _tokens(operation["path"])
    if op in ("add", "replace"):
        return _set(document, path, copy.deepcopy(operation.get("value")), insert=op == "add")
    if op == "remove":
        return _remove(document, path)
    if op in ("move", "copy"):
        source = _tokens(operation["from"])
        value = copy.deepcopy(_get(document, source))
        return _set(_remove(document, source) if op == "move" else document, path, value, insert=True)
    if op == "test":
        if _get(document, path) != operation.get("value"):
            raise ValueError("the value there is another one")
        return document
    raise ValueError(f"unknown operation {op!r}")


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError("a path begins with '/'")
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]


def _get(document: Any, path: list[str]) -> Any:
    for token in path:
        document = document[_index(document, token)] if isinstance(document, list) else document[token]
    return document


def _index(sequence: list[Any], token: str, *, insert: bool = False) -> int:
    if insert and token == "-":
        return len(sequence)
    index = int(token)
    if index < 0:
        # counted from the end, as Envoy Gateway's users may
        index += len(sequence) + insert
    if not 0 <= index < len(sequence) + insert:
        raise IndexError(f"there is no element {index}")
    return index


def _set(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    at = document
    for token, following in pairwise(path):
        if insert and isinstance(at, dict):
            at.setdefault(token, [] if following in ("0", "-") else {})
        at = _get(at, [token])
    last = path[-1]
    if isinstance(at, list):
        index = _index(at, last, insert=insert)
        if insert:
            at.insert(index, value)
        else:
            at[index] = value
    elif not insert and last not in at:
        raise KeyError(last)
    else:
        at[last] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    at = _get(document, path[:-1])
    if isinstance(at, list):
        del at[_index(at, path[-1])]
    else:
        del at[path[-1]]
    return document
