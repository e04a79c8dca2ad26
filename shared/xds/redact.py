"""Envoy's messages for the eyes of people: what its API marks as sensitive is left out, however deep it stands."""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf.message import DecodeError

from shared.xds.message import TYPE_PREFIX
from shared.xds.pool import UnknownMessage, message_class
from shared.xds.wire import varint

REDACTED = "[redacted]"
_SENSITIVE = varint(76569463 << 3) + b"\x01"
"""udpa.annotations.sensitive, as a field's options hold it."""
_DATA_SOURCE = "envoy.config.core.v3.DataSource"


@functools.cache
def _sensitive(field: Any) -> bool:
    found: bool = _SENSITIVE in field.GetOptions().SerializeToString()
    return found


def redact(message: Any) -> Any:
    """The message itself, changed in place; digests and lengths of what is left out stay behind with it."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Any":
        _packed(message)
        return message
    for field, value in message.ListFields():
        if _sensitive(field):
            _hide(message, field)
        elif field.type == field.TYPE_MESSAGE:
            for each in _messages(field, value):
                redact(each)
    return message


def _messages(field: Any, value: Any) -> list[Any]:
    if field.message_type.GetOptions().map_entry:
        of = field.message_type.fields_by_name["value"]
        return [value[key] for key in value] if of.type == of.TYPE_MESSAGE else []
    return list(value) if field.is_repeated else [value]


def _hide(message: Any, field: Any) -> None:
    if field.type == field.TYPE_MESSAGE and field.message_type.full_name == _DATA_SOURCE and not field.is_repeated:
        source = getattr(message, field.name)
        # a file's name, or a variable's, is no secret
        if source.WhichOneof("specifier") in ("inline_bytes", "inline_string"):
            source.inline_string = REDACTED
    elif field.type == field.TYPE_STRING and not field.is_repeated:
        setattr(message, field.name, REDACTED)
    else:
        message.ClearField(field.name)


def _packed(message: Any) -> None:
    name = message.type_url.removeprefix(TYPE_PREFIX)
    try:
        inside = message_class(name).FromString(message.value)
    except (UnknownMessage, KeyError, DecodeError):
        return
    message.value = redact(inside).SerializeToString(deterministic=True)
