"""What a writer hears of others on subjects that should be its own; its own messages do not come back (no_echo)."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.connection import Bus, Session


class Ear:
    """One plain subscription, made again in each session."""

    def __init__(self, bus: Bus, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> None:
        self._bus, self._subject, self._callback = bus, subject, callback
        self._session: Session | None = None
        self._subscription: Subscription | None = None

    async def open(self, session: Session) -> None:
        if self._session is not session:
            self._subscription = await self._bus.subscribe(self._subject, self._callback)
            self._session = session

    async def close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._session is not None and not self._session.lost.is_set():
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()
