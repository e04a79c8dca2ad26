"""Who writes: a lease in a NATS KV bucket, whose generation is the epoch that every message of its holder carries.

No clock is compared between machines: a lease is free when its record has not changed for its TTL by the watch of whoever wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import uuid

import msgspec
import structlog

from shared.bus import direct, wire
from shared.bus.connection import Bus
from shared.bus.errors import WRONG_LAST_SEQUENCE, ApiError, BusClosed, BusError, NoLongerWriter, Unavailable
from shared.bus.publisher import Ack
from shared.bus.waiting import end, first_of
from shared.bus.wire import LEASES, Outgoing

log = structlog.get_logger("bus")

TTL = 3.0


class Record(msgspec.Struct, frozen=True):
    """`holder` '' is a lease given back. `ttl` in seconds."""

    holder: str
    epoch: int
    ttl: float


def default_holder() -> str:
    """Unique to this process, and readable."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Lease:
    """`epoch = await lease.acquire()` waits for its turn; from then on it is renewed until `release()` or until `lost` is set.

    An outage of NATS alone does not lose it: nobody else can take it meanwhile. The fence is in the commits, not here.
    """

    def __init__(self, bus: Bus, name: str, holder: str = "", ttl: float = TTL) -> None:
        self._bus = bus
        self.name = name
        self.holder = holder or default_holder()
        self._ttl = ttl
        self._subject = f"$KV.LEASES.{name}"
        self._seq = 0
        self._task: asyncio.Task[None] | None = None
        self.epoch = 0
        self.lost = asyncio.Event()

    async def acquire(self) -> int:
        """Waits until the lease is ours; the epoch, greater than any before (also after a wiped disk, as far as clocks are right)."""
        await self._stop_renewing()
        self.lost = asyncio.Event()
        seen_seq, seen_at = -1, 0.0
        while True:
            try:
                seq, record = await self._read()
                now = time.monotonic()
                if seq != seen_seq:
                    seen_seq, seen_at = seq, now
                if record is None or now - seen_at >= self._patience(record):
                    before = record.epoch if record is not None else 0
                    epoch = max(before + 1, time.time_ns() // 1_000_000)
                    if await self._write(Record(self.holder, epoch, self._ttl), seq):
                        self.epoch = epoch
                        log.info("lease.acquired", lease=self.name, epoch=epoch, holder=self.holder)
                        self._task = asyncio.create_task(self._renew(), name=f"lease {self.name}")
                        return epoch
            except Unavailable as e:
                log.warning("bus.retry", lease=self.name, error=str(e))
            await asyncio.sleep(self._ttl / 10)

    def _patience(self, record: Record) -> float:
        """Seconds that the record must not have changed. Under our own name it is probably what a former life of ours left; but it
        may be a namesake's who lives, and renews it every third of its TTL."""
        if not record.holder:
            return 0
        return record.ttl / 2 if record.holder == self.holder else record.ttl

    async def release(self) -> None:
        """Gives it back, so that the next holder need not wait."""
        await self._stop_renewing()
        if not self.lost.is_set() and self.epoch:
            with contextlib.suppress(BusError):
                await self._write(Record("", self.epoch, self._ttl), self._seq)

    async def _stop_renewing(self) -> None:
        """Of a term that ended otherwise than by losing the lease, too: two renewals would undo each other."""
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def _renew(self) -> None:
        mine = Record(self.holder, self.epoch, self._ttl)
        session = 0
        while True:
            await first_of(asyncio.sleep(self._ttl / 3), self._bus.session(after=session) if session else asyncio.sleep(self._ttl))
            try:
                session = (await self._bus.session()).number
                if not await self._write(mine, self._seq):
                    self._seq, record = await self._read()
                    if record is not None and record != mine:
                        raise NoLongerWriter(record.holder)
            except Unavailable:
                continue
            except (NoLongerWriter, BusClosed) as e:
                log.warning("lease.lost", lease=self.name, epoch=self.epoch, taken_by=str(e))
                self.lost.set()
                return

    async def _read(self) -> tuple[int, Record | None]:
        entry = await direct.last(self._bus, LEASES.name, self._subject)
        if entry is None:
            return 0, None
        try:
            return entry.seq, msgspec.json.decode(entry.value, type=Record)
        except msgspec.DecodeError:
            return entry.seq, None

    async def _write(self, record: Record, expected: int) -> bool:
        """False where somebody was faster; Unavailable where the outcome is unknown (a later try finds out)."""
        headers = {wire.EXPECTED_SEQUENCE: str(expected)}
        (result,) = await self._bus.publish([Outgoing(self._subject, msgspec.json.encode(record), headers)])
        if isinstance(result, Ack):
            self._seq = result.seq
            return True
        if isinstance(result, ApiError) and result.code == WRONG_LAST_SEQUENCE:
            return False
        raise result
