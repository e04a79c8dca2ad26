"""Plain data <-> protobuf: renderers return dicts in the shape of the messages, these functions turn them into bytes and back."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from shared.xds.pool import POOL, load_message, message_class

TYPE_PREFIX = "type.googleapis.com/"
_MISSING_TYPE = re.compile(r"Can not find message descriptor by type_url:? ?\S*?googleapis\.com/([\w.]+)")

Fields = dict[str, Any]
"""Fields of one message: snake_case names; nested messages as Fields; enums by number or name; Any as `pack` returns it."""


class BadMessage(ValueError):
    """The fields do not fit the message; the text says which."""


def build(name: str, fields: Fields) -> Message:
    """A message of that full name with those fields."""
    try:
        made: Message = message_class(name)(**fields)
    except (TypeError, ValueError) as e:
        raise BadMessage(f"{name}: {e}") from e
    return made


def encode(name: str, fields: Fields) -> bytes:
    """Deterministic bytes of that message: equal fields, equal bytes."""
    return build(name, fields).SerializeToString(deterministic=True)


def pack(name: str, fields: Fields | None = None) -> Fields:
    """google.protobuf.Any of that message, as Fields."""
    return {"type_url": TYPE_PREFIX + name, "value": encode(name, fields or {})}


def struct(value: dict[str, Any]) -> Message:
    """google.protobuf.Struct of plain data."""
    made: Message = message_class("google.protobuf.Struct")()
    made.update(value)  # type: ignore[attr-defined]
    return made


def decode(name: str, data: bytes) -> Any:
    """The message that these bytes hold; typed Any because its class is made at run time."""
    return message_class(name).FromString(data)


def to_json(message: Message, *, proto_names: bool = False) -> dict[str, Any]:
    """Protobuf's JSON form (Any opened), with names in camelCase or as the .proto files spell them."""
    while True:
        try:
            made: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=proto_names, descriptor_pool=POOL)
        except TypeError as e:
            _load_named(e)
        else:
            return made


def from_json(name: str, value: dict[str, Any]) -> Message:
    """The inverse of `to_json`; BadMessage names a field that the message does not have."""
    while True:
        try:
            made: Message = json_format.ParseDict(value, message_class(name)(), descriptor_pool=POOL)
        except (TypeError, json_format.ParseError) as e:
            _load_named(e)
        else:
            return made


def _load_named(error: Exception) -> None:
    """json_format knows only the types in the pool: load the one that its message names, or give up with BadMessage."""
    found = _MISSING_TYPE.search(str(error))
    if found is None:
        raise BadMessage(str(error)) from error
    before = found.group(1)
    load_message(before)
