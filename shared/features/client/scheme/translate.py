"""The scheme that backends see: the client's unless asked otherwise."""

from __future__ import annotations

from shared.features.client.scheme.spec import Scheme


def translate(spec: Scheme | None) -> bool:
    """Whether it is the one by which the backend is reached."""
    return spec == "MatchBackend"
