"""Sealing of secret values, so that they cross the bus, logs and statuses without standing there in clear.

AES-SIV without a nonce: the same plaintext gives the same token, so that a secret that did not change changes no shard. A token names the
key that sealed it, so keys rotate by putting a new one first in the list and removing the old one when nothing carries it any more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

PREFIX = "sealed:"
KEY_BYTES = 64
"""AES-256-SIV."""


class SealError(Exception):
    """No key opens this token, it was changed on its way, or a key file is unusable. Never holds a secret."""


class Sealer:
    """`Sealer(keys)`: raw keys of 64 bytes; the first seals, all open."""

    __slots__ = ("_ciphers", "_first")

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._ciphers: dict[str, AESSIV] = {}
        self._first = ""
        for key in keys:
            if len(key) != KEY_BYTES:
                raise SealError(f"a bus key has {KEY_BYTES} bytes, this one has {len(key)}")
            name = key_id(key)
            self._ciphers[name] = AESSIV(key)
            self._first = self._first or name
        if not self._first:
            raise SealError("no bus key")

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Sealer:
        """Files as `headgate certgen` writes them: one key in base64."""
        return cls([read_key(Path(p)) for p in paths])

    def seal(self, plain: bytes) -> str:
        """`sealed:<key id>:<base64>`."""
        return f"{PREFIX}{self._first}:{base64.b64encode(self._ciphers[self._first].encrypt(_never_empty(plain), None)).decode()}"

    def open(self, token: str) -> bytes:
        """What was sealed; SealError."""
        _, _, rest = token.partition(PREFIX)
        name, _, text = rest.partition(":")
        cipher = self._ciphers.get(name)
        if not token.startswith(PREFIX) or not text:
            raise SealError("not a sealed value")
        if cipher is None:
            raise SealError(f"sealed with a key that is not here: {name}")
        try:
            return cipher.decrypt(base64.b64decode(text, validate=True), None)[1:]
        except (InvalidTag, binascii.Error, ValueError):
            raise SealError("a sealed value was changed on its way") from None

    def __repr__(self) -> str:
        return f"Sealer(keys={list(self._ciphers)})"


def is_sealed(text: str) -> bool:
    return text.startswith(PREFIX)


def new_key() -> bytes:
    return AESSIV.generate_key(KEY_BYTES * 8)


def key_id(key: bytes) -> str:
    """Names a key without telling anything of it."""
    return hashlib.sha256(b"headgate bus key\0" + key).hexdigest()[:8]


def encode_key(key: bytes) -> str:
    """A key file's text."""
    return base64.b64encode(key).decode() + "\n"


def read_key(path: Path) -> bytes:
    try:
        return base64.b64decode(path.read_text().strip(), validate=True)
    except (OSError, binascii.Error, UnicodeDecodeError) as e:
        raise SealError(f"{path}: not a readable bus key ({type(e).__name__})") from None


def _never_empty(plain: bytes) -> bytes:
    """AES-SIV takes no empty message; one leading byte is cut again by `open`."""
    return b"\0" + plain
