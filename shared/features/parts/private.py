"""Values that nobody should see, by the time a room renders them: opened, and in base64."""

from __future__ import annotations

import base64
import binascii

from shared.features.parts.xds_values import Unrenderable


def clear(value: str) -> bytes:
    """The value itself; Unrenderable (which does not show it) for one that is not opened yet, or is no base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Unrenderable("a secret value cannot be read") from None
