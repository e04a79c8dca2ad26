"""Where objects come from and where what is made of them goes, as both kinds of sources have it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from examples.ai_gateway.compiling import At, Compiled, Raw

KINDS: Mapping[str, str] = {
    "AIRoute": "ai-gateway.envoyproxy.io",
    "AIBackend": "ai-gateway.envoyproxy.io",
    "Gateway": "gateway.networking.k8s.io",
    "ListenerSet": "gateway.networking.k8s.io",
    "Namespace": "",
    "Secret": "",
}
"""What is read, with its group."""


class Source(Protocol):
    def states(self) -> AsyncIterator[Mapping[At, Raw]]:
        """All objects, again whenever something is different; never before all of them are known."""
        ...

    async def put(self, made: Compiled) -> None:
        """Brings objects and statuses to where they are read. What was made before and is no more goes."""
        ...
