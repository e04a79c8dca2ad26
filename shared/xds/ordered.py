"""A message's bytes in the order in which Go writes fields: by number, members of a oneof last.

Envoy Gateway names some things by a hash of these bytes, and statistics and dashboards know them by those names.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from shared.xds.message import Fields, build
from shared.xds.wire import framed


def in_order(name: str, fields: Fields) -> bytes:
    """The message of that full name with those fields."""
    return _bytes(build(name, fields))


def _bytes(message: Message) -> bytes:
    found = sorted(message.ListFields(), key=lambda item: (_in_oneof(item[0]), item[0].number))
    return b"".join(_field(message, of, value) for of, value in found)


def _in_oneof(of: FieldDescriptor) -> bool:
    # an optional field stands in a oneof of its own, which the compiler made up
    return of.containing_oneof is not None and of.containing_oneof.name != f"_{of.name}"


def _field(message: Message, of: FieldDescriptor, value: Any) -> bytes:
    is_map = of.message_type is not None and of.message_type.GetOptions().map_entry
    if of.message_type is None or is_map:
        alone = type(message)()
        if of.is_repeated:
            getattr(alone, of.name).MergeFrom(value)
        else:
            setattr(alone, of.name, value)
        return bytes(alone.SerializeToString(deterministic=True))
    members = value if of.is_repeated else (value,)
    return b"".join(framed(of.number, _bytes(each)) for each in members)
