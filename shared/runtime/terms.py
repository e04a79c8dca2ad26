"""One active replica, others standing by: the life of every service that holds a lease while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from shared.bus.connection import Bus
from shared.bus.errors import NoLongerWriter
from shared.bus.lease import Lease
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.waiting import Stopped, all_or_stopped, or_stopped

log = structlog.get_logger()

Term = Callable[[Bus, int], Coroutine[Any, Any, None]]
"""`await term(bus, epoch)` works until it is cancelled, and then cleans up after itself."""


async def connected(settings: Settings, ops: Ops, stop: asyncio.Event) -> Bus:
    """The bus, as soon as NATS answers. Raises Stopped."""
    ops.wait("waiting for NATS")
    return await or_stopped(stop, Bus.connect(settings.bus, service=settings.service))


async def serve(settings: Settings, ops: Ops, stop: asyncio.Event, lease_name: str, term: Term) -> None:
    """Waits for the lease and works a term, again and again until `stop`."""
    try:
        bus = await connected(settings, ops, stop)
    except Stopped:
        return
    lease = Lease(bus, lease_name, settings.holder)
    try:
        while not stop.is_set():
            ops.details = dict
            ops.stand_by("standing by: another replica has the lease")
            epoch = await or_stopped(stop, lease.acquire())
            ops.wait("reading what there is")
            log.info("active", epoch=epoch)
            try:
                await all_or_stopped(stop, term(bus, epoch), lease.lost.wait())
            except NoLongerWriter as e:
                log.warning("superseded", reason=str(e))
    except Stopped:
        pass
    finally:
        await lease.release()
        await bus.close()
