"""Where the proxies' identities come from while this is shown: a real SPIRE, or a plain server of secrets in its place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from examples.spiffe.identities import Authority, Svid
from examples.spiffe.sds import SecretServer
from examples.spiffe.spire import Spire

DOMAIN, WORKLOAD = "example.org", "gateway"
LIFETIME = 12
"""Seconds for which a certificate of the proxies is good; a new one comes at about half of that."""


class Agent(Protocol):
    """`socket` is where proxies ask; `bundle` are the trust domain's authorities (PEM)."""

    socket: Path
    bundle: str

    async def issue(self, workload: str, *hosts: str) -> Svid:
        """An identity for a backend."""


class Plain:
    """Issues by itself, and anew before the time is over, as an agent does."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "sds.sock"
        self._authority = Authority(DOMAIN)
        self.bundle = self._authority.bundle

    async def issue(self, workload: str, *hosts: str) -> Svid:
        return self._authority.issue(workload, timedelta(hours=1), *hosts)

    async def renew(self, server: SecretServer) -> None:
        """Until it is cancelled."""
        while True:
            server.certificate(f"spiffe://{DOMAIN}/{WORKLOAD}", *self._authority.issue(WORKLOAD, timedelta(seconds=LIFETIME)))
            await asyncio.sleep(LIFETIME / 4)


@contextlib.asynccontextmanager
async def plain(folder: Path) -> AsyncIterator[Agent]:
    agent = Plain(folder)
    async with SecretServer(agent.socket) as server:
        server.authorities(f"spiffe://{DOMAIN}", agent.bundle)
        renewing = asyncio.create_task(agent.renew(server))
        try:
            yield agent
        finally:
            renewing.cancel()


@contextlib.asynccontextmanager
async def spire(folder: Path, programs: tuple[Path, Path]) -> AsyncIterator[Agent]:
    async with Spire(folder, *programs, DOMAIN, _port()).running(WORKLOAD, LIFETIME) as agent:
        yield agent


def _port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port
