"""What a provider has to say of its fleets: of each the latest, until somebody listens."""

from __future__ import annotations

import asyncio

from shared.core.refs import GatewayRef
from shared.ir.status import InfraStatus


class Reports:
    """A queue in which a newer word about a fleet takes the place of an older one."""

    def __init__(self) -> None:
        self._latest: dict[GatewayRef, InfraStatus | None] = {}
        self._told = asyncio.Event()

    def tell(self, gateway: GatewayRef, status: InfraStatus | None) -> None:
        self._latest[gateway] = status
        self._told.set()

    async def next(self) -> tuple[GatewayRef, InfraStatus | None]:
        while not self._latest:
            self._told.clear()
            await self._told.wait()
        gateway = next(iter(self._latest))
        return gateway, self._latest.pop(gateway)
