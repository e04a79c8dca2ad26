"""Fields that somebody wrote and nothing here reads: they are told, and never ignored silently."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import inspect


def unknown_fields(written: Mapping[str, Any], kind: type) -> tuple[str, ...]:
    """Paths ('a.b[2].c') of what stands in plain data but not in the struct that it is parsed into."""
    return tuple(_unknown(written, _shape(kind), ""))


@functools.cache
def _shape(kind: type) -> inspect.Type:
    return inspect.type_info(kind)


def _unknown(value: Any, shape: inspect.Type, path: str) -> Iterator[str]:
    if isinstance(shape, inspect.UnionType):
        yield from _of_best(value, shape, path)
    elif isinstance(value, Mapping) and isinstance(shape, inspect.StructType):
        fields = {field.encode_name: field.type for field in shape.fields}
        for name, inner in value.items():
            at = f"{path}.{name}" if path else name
            if name not in fields:
                yield at
            else:
                yield from _unknown(inner, fields[name], at)
    elif isinstance(value, Mapping) and isinstance(shape, inspect.DictType):
        for name, inner in value.items():
            yield from _unknown(inner, shape.value_type, f"{path}.{name}")
    elif isinstance(value, (list, tuple)) and isinstance(shape, (inspect.ListType, inspect.VarTupleType)):
        for n, inner in enumerate(value):
            yield from _unknown(inner, shape.item_type, f"{path}[{n}]")


def _of_best(value: Any, shape: inspect.UnionType, path: str) -> Iterator[str]:
    """Of several types the one that knows most of the value."""
    fitting = (t for t in shape.types if _fits(value, t))
    every = [tuple(_unknown(value, t, path)) for t in fitting]
    yield from min(every, key=len, default=())


def _fits(value: Any, shape: inspect.Type) -> bool:
    if isinstance(value, Mapping):
        return isinstance(shape, (inspect.StructType, inspect.DictType, inspect.AnyType))
    if isinstance(value, (list, tuple)):
        return isinstance(shape, (inspect.ListType, inspect.VarTupleType, inspect.AnyType))
    return True
