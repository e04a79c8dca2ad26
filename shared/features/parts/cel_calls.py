"""What a CEL expression asks for, held against what Envoy can do: it refuses a whole listener for one function that it does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from shared.features.parts.cel_tree import Misread, parsed
from shared.features.parts.regex import regex_fault

_TIMES = ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "Hours", "Minutes", "Seconds", "Milliseconds")
_CONVERSIONS = ("int", "uint", "double", "bytes", "bool", "dyn", "type", "duration", "timestamp", "size")
_TESTS = ("contains", "startsWith", "endsWith", "matches")
_OPERATORS = {"_?_:_": (3,), "!_": (1,), "-_": (1,)}
_ARGUMENTS = (
    dict.fromkeys(_CONVERSIONS, (1,)) | dict.fromkeys(_TESTS, (2,)) | dict.fromkeys((f"get{t}" for t in _TIMES), (1, 2)) | _OPERATORS
)
"""Function -> how many arguments it takes, what it is called on counted; what is an operator takes two."""

_SCALARS = ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
_MESSAGES = frozenset(
    f"google.protobuf.{name}" for name in (*(f"{s}Value" for s in _SCALARS), "Any", "Duration", "ListValue", "Struct", "Timestamp", "Value")
)
_LARGEST_PATTERN = 100
_SMALLEST, _LARGEST, _LARGEST_UNSIGNED = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


def call_fault(text: str) -> str | None:
    """A sentence for a person where an expression is none, or none that Envoy could evaluate."""
    try:
        tree = parsed(text)["expr"]
    except Misread as e:
        return str(e)
    except (ValueError, OverflowError, SyntaxError) as e:
        return f"invalid CEL expression {text!r}: {e}"
    fault = next(_faults(tree), None)
    return f"invalid CEL expression {text!r}: {fault}" if fault is not None else None


def _faults(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _faults(each)
    if isinstance(node, dict):
        yield from _call(node.get("call_expr"))
        yield from _message(node.get("struct_expr"))
        yield from _constant(node.get("const_expr"))
        for each in node.values():
            yield from _faults(each)


def _call(call: Any) -> Iterator[str]:
    if call is None:
        return
    name = call["function"]
    given = [*([call["target"]] if "target" in call else []), *call["args"]]
    operator = not name[0].isalpha() and name not in _OPERATORS
    if len(given) not in ((2,) if operator else _ARGUMENTS.get(name.removeprefix("."), ())):
        yield f"Envoy has no function {name}() of {len(given)} arguments"
    elif name == "matches" and isinstance(pattern := given[1].get("const_expr", {}).get("string_value"), str):
        yield from _pattern(pattern)


def _pattern(pattern: str) -> Iterator[str]:
    if (fault := regex_fault(pattern)) is not None:
        yield fault
    elif re2.compile(pattern).programsize > _LARGEST_PATTERN:
        yield f"the regex {pattern!r} is larger than Envoy takes in an expression"


def _message(struct: Any) -> Iterator[str]:
    name = struct.get("message_name") if struct is not None else None
    if name is not None and name.removeprefix(".") not in _MESSAGES:
        yield f"Envoy does not know the message {name}"


def _constant(constant: Any) -> Iterator[str]:
    given = constant or {}
    if not _SMALLEST <= given.get("int64_value", 0) <= _LARGEST or given.get("uint64_value", 0) > _LARGEST_UNSIGNED:
        yield "a number in it is out of range"
    if any("\ud800" <= c <= "\udfff" for c in given.get("string_value", "")):
        yield "half a character in it"
