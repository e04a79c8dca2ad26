"""Protobuf's wire format by hand, for messages that are passed on and not looked into: joined from parts, and taken apart again."""

from __future__ import annotations

from collections.abc import Iterator

_SMALL = tuple(bytes((n,)) for n in range(0x80))


class Malformed(ValueError):
    """Bytes that are no message."""


def varint(n: int) -> bytes:
    if n < 0x80:
        return _SMALL[n]
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def frame(field: int, size: int) -> bytes:
    """What stands before the `size` bytes of a length-delimited protobuf field."""
    return varint(field << 3 | 2) + varint(size)


def framed(field: int, data: bytes) -> bytes:
    """One length-delimited protobuf field. A repeated field is the concatenation of its framed members."""
    return frame(field, len(data)) + data


def members(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each length-delimited field of a message, in order; other fields are passed over. Raises Malformed."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise Malformed("a field goes beyond the message's end")
            yield number, data[at : at + size]
            at += size
        elif kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise Malformed(f"wire type {kind}")
        if not number or at > len(data):
            raise Malformed("a field without a number, or beyond the message's end")


def single(data: bytes, number: int) -> bytes | None:
    """Content of the last length-delimited field of that number, None where there is none: as protobuf reads what is not repeated."""
    found = None
    for at, content in members(data):
        if at == number:
            found = content
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a number that does not end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
