"""What Envoy's own validation of its messages would refuse: the rules that its .proto files declare (protoc-gen-validate).

One refused field makes Envoy refuse the whole resource, so they are looked at where a part of it is rendered. The rules come
from the same descriptors as the messages; for each message class they are worked out once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from google.protobuf.message import Message

from shared.xds.message import TYPE_PREFIX
from shared.xds.pool import POOL, UnknownMessage, load, message_class

Check = Callable[[Any], str | None]
"""A field's value -> what is wrong with it, None if nothing."""
Extra = Mapping[str, Check]
"""Checks of whole messages that no rule declares, by the message's full name."""

MOST_SECONDS = 9_223_372_036
_OPAQUE = ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue")
_DURATION = "google.protobuf.Duration"
_ANY = "google.protobuf.Any"
_HEADERS = {
    # (well_known_regex, strict): HTTP_HEADER_NAME is 1, HTTP_HEADER_VALUE is 2
    (1, True): r"^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$",
    (1, False): r"^[^\x00\n\r]*$",
    (2, True): r"^[^\x00-\x08\x0A-\x1F\x7F]*$",
    (2, False): r"^[^\x00\n\r]*$",
}
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("gt", "more than", lambda v, bound: v > bound),
    ("gte", "at least", lambda v, bound: v >= bound),
    ("lt", "less than", lambda v, bound: v < bound),
    ("lte", "at most", lambda v, bound: v <= bound),
)


class _Plan(NamedTuple):
    """What one kind of message must satisfy; `checks` are pairs of a field's name and its check, `kept` those with presence."""

    required: tuple[str, ...]
    oneofs: tuple[str, ...]
    checks: tuple[tuple[str, Check, bool], ...]


def faults(message: Message, extra: Extra | None = None) -> Iterator[str]:
    """What is wrong with a message and with all that it holds, packed messages too: a sentence each, with the field's path."""
    for path, text in _faults(message, extra or {}):
        yield f"{path}: {text}" if path else text


def _faults(message: Message, extra: Extra) -> Iterator[tuple[str, str]]:
    name = message.DESCRIPTOR.full_name
    if name in _OPAQUE:
        return
    if name == _DURATION:
        if not 0 <= message.seconds <= MOST_SECONDS or message.nanos < 0:  # type: ignore[attr-defined]
            yield "", "not a duration that Envoy can take"
        return
    if name == _ANY:
        yield from _packed(message, extra)
        return
    if name in extra and (fault := extra[name](message)) is not None:
        yield "", fault
    plan = _plan(name)
    for field in plan.required:
        if not message.HasField(field):
            yield field, "is required"
    for oneof in plan.oneofs:
        if message.WhichOneof(oneof) is None:
            yield oneof, "one is required"
    for field, check, presence in plan.checks:
        if (not presence or message.HasField(field)) and (fault := check(getattr(message, field))) is not None:
            yield field, fault
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for part in _members(descriptor, value):
            for path, text in _faults(part, extra):
                yield f"{descriptor.name}.{path}" if path else descriptor.name, text


def _members(descriptor: Any, value: Any) -> Iterator[Message]:
    if descriptor.message_type.GetOptions().map_entry:
        if descriptor.message_type.fields_by_name["value"].message_type is not None:
            yield from value.values()
    elif isinstance(value, Message):
        yield value
    else:
        yield from value


def _packed(message: Any, extra: Extra) -> Iterator[tuple[str, str]]:
    try:
        kind = message_class(message.type_url.removeprefix(TYPE_PREFIX))
    except UnknownMessage:
        return
    yield from _faults(kind.FromString(message.value), extra)


@functools.cache
def _plan(name: str) -> _Plan:
    descriptor = message_class(name).DESCRIPTOR
    required, checks = [], []
    for field in descriptor.fields:
        rules = _declared("FieldOptions", "validate.rules", field)
        if rules is None:
            continue
        kind = rules.WhichOneof("type")
        inner = getattr(rules, kind) if kind is not None else None
        if field.containing_oneof is None and (rules.message.required or getattr(inner, "required", False)):
            required.append(field.name)
        if inner is not None and (check := _check(kind, inner, field)) is not None:
            checks.append((field.name, check, field.has_presence))
    oneofs = [o.name for o in descriptor.oneofs if _declared("OneofOptions", "validate.required", o)]
    return _Plan(tuple(required), tuple(oneofs), tuple(checks))


def _declared(options: str, extension: str, of: Any) -> Any:
    """An extension of a field's or oneof's options; the descriptors' own classes do not know it."""
    data = of.GetOptions().SerializeToString()
    if not data:
        return None
    load("validate/validate.proto")
    known = message_class(f"google.protobuf.{options}").FromString(data)
    found = POOL.FindExtensionByName(extension)
    return known.Extensions[found] if known.HasExtension(found) else None


def _check(kind: str, rules: Any, field: Any) -> Check | None:
    """One check out of all rules of a field; None where there are none."""
    if kind == "repeated":
        return _repeated(rules, field)
    make = _SINGLE.get(kind, _number)
    parts = make(rules, field)
    if not parts:
        return None
    unwrap = field.message_type is not None and field.message_type.full_name.endswith("Value")
    ignore_empty = getattr(rules, "ignore_empty", False)

    def check(value: Any) -> str | None:
        inner = value.value if unwrap else value
        if ignore_empty and not inner:
            return None
        shown = f"{inner} " if isinstance(inner, int | float) else ""
        return next((shown + text for test, text in parts if not test(inner)), None)

    return check


Tests = list[tuple[Callable[[Any], bool], str]]


def _string(rules: Any, _: Any) -> Tests:
    out: Tests = []
    if rules.min_len:
        out.append((lambda v: len(v) >= rules.min_len, f"shorter than {rules.min_len}"))
    for limit, size in ((rules.max_len, len), (rules.max_bytes, lambda v: len(v.encode()))):
        if limit:
            out.append((lambda v, limit=limit, size=size: size(v) <= limit, f"longer than {limit}"))  # type: ignore[misc]
    pattern = rules.pattern or _HEADERS.get((rules.well_known_regex, rules.strict), "")
    if pattern:
        compiled = re.compile(pattern)
        out.append((lambda v: compiled.search(v) is not None, f"does not match {pattern}"))
    if rules.prefix:
        out.append((lambda v: v.startswith(rules.prefix), f"does not start with {rules.prefix!r}"))
    out += _listed(rules)
    return out


def _bytes(rules: Any, _: Any) -> Tests:
    out: Tests = []
    if rules.min_len:
        out.append((lambda v: len(v) >= rules.min_len, f"shorter than {rules.min_len}"))
    if rules.max_len:
        out.append((lambda v: len(v) <= rules.max_len, f"longer than {rules.max_len}"))
    return out


def _listed(rules: Any) -> Tests:
    out: Tests = []
    if allowed := set(getattr(rules, "in")):
        out.append((lambda v: v in allowed, f"not one of {sorted(allowed)}"))
    if refused := set(rules.not_in):
        out.append((lambda v: v not in refused, f"one of {sorted(refused)}"))
    return out


def _number(rules: Any, _: Any) -> Tests:
    out: Tests = []
    for name, text, holds in _BOUNDS:
        if name in rules.DESCRIPTOR.fields_by_name and rules.HasField(name):
            bound = getattr(rules, name)
            out.append((lambda v, holds=holds, bound=bound: holds(v, bound), f"must be {text} {bound}"))  # type: ignore[misc]
    return out + (_listed(rules) if "in" in rules.DESCRIPTOR.fields_by_name else [])


def _duration(rules: Any, _: Any) -> Tests:
    out: Tests = []
    for name, text, holds in _BOUNDS:
        if rules.HasField(name):
            bound = _nanos(getattr(rules, name))
            out.append((lambda v, holds=holds, bound=bound: holds(_nanos(v), bound), f"must be {text} {bound} ns"))  # type: ignore[misc]
    return out


def _nanos(duration: Any) -> int:
    return int(duration.seconds) * 10**9 + int(duration.nanos)


def _enum(rules: Any, field: Any) -> Tests:
    if not rules.defined_only:
        return _listed(rules)
    values = {v.number for v in field.enum_type.values}
    return [(lambda v: v in values, "not a known value"), *_listed(rules)]


def _none(_rules: Any, _field: Any) -> Tests:
    return []


_SINGLE: Mapping[str, Callable[[Any, Any], Tests]] = {
    "string": _string,
    "bytes": _bytes,
    "duration": _duration,
    "enum": _enum,
    **dict.fromkeys(("bool", "map", "any", "timestamp"), _none),
}


def _repeated(rules: Any, field: Any) -> Check | None:
    kind = rules.items.WhichOneof("type") if rules.HasField("items") else None
    each = _check(kind, getattr(rules.items, kind), field) if kind not in (None, "repeated") else None

    def check(values: Any) -> str | None:
        if len(values) < rules.min_items:
            return f"fewer than {rules.min_items}"
        if rules.max_items and len(values) > rules.max_items:
            return f"more than {rules.max_items}"
        if rules.unique and len(set(values)) != len(values):
            return "holds something twice"
        return next((text for v in values if (text := each(v)) is not None), None) if each is not None else None

    return check
