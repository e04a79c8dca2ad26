"""A Wasm module out of what a server or a registry gives: bare, compressed, or in an archive. Pure, and careful with sizes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib

MOST = 256 << 20
"""Bytes of a module. Envoy Gateway's limit, too."""
PLUGIN = "plugin.wasm"
"""The file in an image (Wasm image specification, compat variant)."""
_WASM, _GZIP = b"\0asm", b"\x1f\x8b"
_NESTED = 4


class NoModule(ValueError):
    """The content holds no Wasm module; says why."""


def module(content: bytes) -> bytes:
    """The module that a server gave: as it is, or the first file of an archive, compressed or not."""
    for _ in range(_NESTED):
        if content.startswith(_WASM):
            return content
        if content.startswith(_GZIP):
            content = inflated(content)
        elif tarfile.is_tarfile(io.BytesIO(content)):
            content = _file(content, "")
        else:
            break
    raise NoModule("the content is no Wasm module")


def plugin(layer: bytes) -> bytes:
    """The module in an image's last layer."""
    found = _file(inflated(layer) if layer.startswith(_GZIP) else layer, PLUGIN)
    if not found.startswith(_WASM):
        raise NoModule(f"{PLUGIN} is no Wasm module")
    return found


def inflated(content: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as packed:
            found = packed.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise NoModule(f"the content cannot be decompressed: {e}") from e
    if len(found) > MOST:
        raise NoModule(f"the content is larger than {MOST >> 20} MiB")
    return found


def _file(archive: bytes, name: str) -> bytes:
    """The first regular file of that name in any folder; of any name where none is given."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            for each in packed:
                if each.isfile() and (not name or each.name.rpartition("/")[2] == name):
                    content = packed.extractfile(each)
                    return content.read() if content is not None else b""
    except (tarfile.TarError, OSError, EOFError) as e:
        raise NoModule(f"the archive cannot be read: {e}") from e
    raise NoModule(f"no {name or 'file'} in the archive")
