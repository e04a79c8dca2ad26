"""Who a program on Kubernetes is: what its service account's token comes to. Whoever asks the API server is not who decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple


class Account(NamedTuple):
    """A service account and the pod that the token was made for ("" for a token that belongs to no pod)."""

    namespace: str
    name: str
    pod: str = ""


class CannotTell(Exception):
    """Nobody can say now whose the token is; the text says why. Later somebody may."""


Prove = Callable[[str], Awaitable[Account | None]]
"""Whose a token is; None for one that is nobody's, or not for us. Raises CannotTell."""
