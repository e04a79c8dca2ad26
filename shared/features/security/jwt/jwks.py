"""Keys of JWT providers that are written down: Envoy refuses a whole listener for a set in which it finds none."""

from __future__ import annotations

import msgspec

_PARTS = {"RSA": ("n", "e"), "EC": ("x", "y"), "oct": ("k",), "OKP": ("x", "crv")}
"""What a key of each type cannot do without; Envoy skips what it does not know."""


def jwks_fault(text: str) -> str | None:
    """Why there is no key in it that Envoy could use."""
    try:
        written = msgspec.json.decode(text)
    except msgspec.DecodeError as e:
        return f"it is no JSON: {e}"
    keys = written.get("keys") if isinstance(written, dict) else None
    if not isinstance(keys, list):
        return "there is no list of keys in it"
    return None if any(map(_usable, keys)) else "there is no usable key in it"


def _usable(key: object) -> bool:
    if not isinstance(key, dict):
        return False
    parts = _PARTS.get(str(key.get("kty")))
    return parts is not None and all(isinstance(key.get(p), str) and key[p] for p in parts)
