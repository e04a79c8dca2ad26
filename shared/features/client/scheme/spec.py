"""The scheme that backends see, as a ClientTrafficPolicy writes it."""

from __future__ import annotations

from typing import Literal

Scheme = Literal["Preserve", "MatchBackend"]
