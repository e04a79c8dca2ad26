"""A Wasm module of a hundred bytes that adds a header to requests (Proxy-Wasm ABI 0.2.1), put together by hand."""

from __future__ import annotations

from collections.abc import Iterable

_I32 = b"\x7f"
_FUNCTION, _MEMORY = b"\0", b"\2"
# parameters and results of each function: the imported one first
_TYPES = ((5, 1), (0, 0), (2, 0), (2, 1), (3, 1), (1, 1))


def adding(header: str, value: str) -> bytes:
    name, content = header.encode(), value.encode()
    text = name + content
    arguments = (0, 0, len(name), len(name), len(content))  # the request's headers; place and length of name and value
    add = b"".join(b"\x41" + _signed(each) for each in arguments) + b"\x10\0\x1a"
    yes, go_on, free = b"\x41\1", b"\x41\0", b"\x41" + _signed(1024)
    functions = (
        ("proxy_abi_version_0_2_1", 1, b""),
        ("proxy_on_context_create", 2, b""),
        ("proxy_on_vm_start", 3, yes),
        ("proxy_on_configure", 3, yes),
        ("proxy_on_request_headers", 4, add + go_on),
        ("proxy_on_memory_allocate", 5, free),
    )
    exports = [_named(each) + _FUNCTION + bytes([i]) for i, (each, _, _) in enumerate(functions, 1)]
    sections = (
        (1, _many(b"\x60" + _many([_I32] * given) + _many([_I32] * back) for given, back in _TYPES)),
        (2, _many([_named("env") + _named("proxy_add_header_map_value") + b"\0\0"])),
        (3, _many(bytes([kind]) for _, kind, _ in functions)),
        (5, _many([b"\0\1"])),
        (7, _many([*exports, _named("memory") + _MEMORY + b"\0"])),
        (10, _many(_sized(b"\0" + body + b"\x0b") for _, _, body in functions)),
        (11, _many([b"\0\x41\0\x0b" + _sized(text)])),
    )
    return b"\0asm\1\0\0\0" + b"".join(bytes([kind]) + _sized(content) for kind, content in sections)


def _unsigned(n: int) -> bytes:
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + _unsigned(n >> 7)


def _signed(n: int) -> bytes:
    return bytes([n]) if n < 0x40 else bytes([n & 0x7F | 0x80]) + _signed(n >> 7)


def _sized(content: bytes) -> bytes:
    return _unsigned(len(content)) + content


def _named(text: str) -> bytes:
    return _sized(text.encode())


def _many(items: Iterable[bytes]) -> bytes:
    every = list(items)
    return _unsigned(len(every)) + b"".join(every)
