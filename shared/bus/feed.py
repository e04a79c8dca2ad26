"""Reads a stream in order and never misses a message: last values first, then what follows, across any number of connections.

It stands on an ephemeral push consumer whose delivery numbers must be without a gap; where they are not, or the server falls silent, a new
consumer goes on after the last sequence seen. On a stream of a new incarnation it starts over and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.backoff import Backoff
from shared.bus.connection import Bus, Session
from shared.bus.errors import ApiError, BusClosed, BusError, Unavailable
from shared.bus.wire import Entry, Message

HEARTBEAT = 2.0
SILENCE = 3 * HEARTBEAT


class FeedBatch(NamedTuple):
    """Messages in the stream's order. `caught_up`: all that stood in the stream at the start is delivered. `reset`: first batch of a
    whole new reading (start, or new incarnation): forget what was staged."""

    messages: list[Message]
    caught_up: bool
    reset: bool
    incarnation: str


class Feed:
    """`await next()` for the next batch (never empty of news: messages, or caught_up turning true); `await close()`."""

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str]) -> None:
        self._bus = bus
        self._stream = stream
        self._filters = list(filters)
        self._backoff = Backoff()
        self._arrived: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._session: Session | None = None
        self._subscription: Subscription | None = None
        self._consumer = ""
        self._incarnation = ""
        self._sequence = 0
        self._delivered = 0
        self._initial = 0
        self._caught_up = False
        self._reset = False

    def restart(self) -> None:
        """The next batch begins a whole new reading."""
        self._incarnation = ""
        self._detach()

    async def next(self) -> FeedBatch:
        while True:
            if self._subscription is None:
                try:
                    await self._attach()
                except BusClosed:
                    raise
                except (BusError, TimeoutError) as e:
                    self._detach()
                    if isinstance(e, ApiError):
                        self._bus.restart()  # the stream is gone or refuses: a new session sees to it
                    await asyncio.sleep(self._backoff.next())
                    continue
            batch = await self._collect()
            if batch is not None:
                return batch

    async def close(self) -> None:
        self._detach()

    async def _attach(self) -> None:
        session = await self._bus.session()
        incarnation = session.incarnations[self._stream]
        if incarnation == self._incarnation:
            info = await self._bus.api(f"STREAM.INFO.{self._stream}")
            if info["state"]["last_seq"] < self._sequence:
                incarnation, self._incarnation = self._incarnation, ""  # the server lost its newest writes
        if incarnation != self._incarnation:
            self._incarnation, self._sequence, self._caught_up, self._reset = incarnation, 0, False, True
        self._arrived = deque()
        self._delivered = 0
        self._consumer = uuid.uuid4().hex
        self._session = session
        session.wake.add(self._wake.set)
        inbox = self._bus.inbox()
        self._subscription = await self._bus.subscribe(inbox, self._take)
        answer = await self._bus.api(f"CONSUMER.CREATE.{self._stream}.{self._consumer}", self._request(inbox))
        self._initial = int(answer.get("num_pending", 0))
        if answer.get("delivered", {}).get("consumer_seq"):
            self._initial += int(answer["delivered"]["consumer_seq"])
        self._backoff.reset()

    def _request(self, inbox: str) -> dict[str, object]:
        config: dict[str, object] = {
            "name": self._consumer,
            "deliver_subject": inbox,
            "filter_subjects": self._filters,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * 1e9),
            "inactive_threshold": int(30e9),
        }
        if self._sequence or self._caught_up:
            config |= {"deliver_policy": "by_start_sequence", "opt_start_seq": self._sequence + 1}
        else:
            config |= {"deliver_policy": "last_per_subject"}
        return {"stream_name": self._stream, "config": config, "action": "create"}

    async def _take(self, msg: Msg) -> None:
        self._arrived.append(msg)
        self._wake.set()

    async def _collect(self) -> FeedBatch | None:
        """What has arrived; None when the attachment broke (or nothing is worth telling)."""
        if not self._arrived and not self._news():
            self._wake.clear()
            session = self._session
            if session is None or session.lost.is_set():
                self._detach()
                return None
            try:
                async with asyncio.timeout(SILENCE):
                    await self._wake.wait()
            except TimeoutError:
                self._detach()
                return None
        messages: list[Message] = []
        sound = True
        while self._arrived and sound:
            msg = self._arrived.popleft()
            if msg.headers and "Status" in msg.headers:
                sound = await self._control(msg)
                continue
            sound = self._data(msg, messages)
        if not sound:
            self._detach()
        if not messages and not self._news():
            return None
        reset, self._reset = self._reset, False
        self._caught_up = self._caught_up or self._done()
        return FeedBatch(messages, self._caught_up, reset, self._incarnation)

    def _done(self) -> bool:
        return self._subscription is not None and self._delivered >= self._initial

    def _news(self) -> bool:
        """Caught up without a message to say so with: an empty stream, or one that holds nothing newer."""
        return not self._caught_up and self._done()

    def _data(self, msg: Msg, messages: list[Message]) -> bool:
        # $JS.ACK.[domain.account.]stream.consumer.delivered.stream_seq.consumer_seq.time.pending[.token]
        tokens = msg.reply.split(".")
        if len(tokens) > 9:
            tokens = tokens[2:]
        delivery = int(tokens[6])
        if delivery != self._delivered + 1:
            return False
        self._delivered = delivery
        if int(tokens[8]) == 0:
            self._initial = min(self._initial, delivery)
        self._sequence = int(tokens[5])
        messages.append(Message(msg.subject, Entry(msg.data, msg.headers or {}, self._sequence, int(tokens[7]) / 1e9)))
        return True

    async def _control(self, msg: Msg) -> bool:
        headers = msg.headers or {}
        if headers["Status"] != "100":
            return False  # 409: the consumer was deleted, or leadership moved
        with contextlib.suppress(Unavailable):
            stalled = headers.get("Nats-Consumer-Stalled")
            if msg.reply or stalled:
                await self._bus.send(msg.reply or str(stalled))
        last = headers.get("Nats-Last-Consumer")
        return last is None or int(last) == self._delivered

    def _detach(self) -> None:
        """Forgets the consumer; the server drops it after its inactive threshold if the deletion below does not reach it."""
        subscription, self._subscription = self._subscription, None
        session, self._session = self._session, None
        self._arrived = deque()
        if session is not None:
            session.wake.discard(self._wake.set)
        if subscription is None or session is None or session.lost.is_set():
            return
        task = asyncio.ensure_future(_drop(self._bus, subscription, f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}"))
        _dropping.add(task)
        task.add_done_callback(_dropping.discard)


_dropping: set[asyncio.Future[None]] = set()


async def _drop(bus: Bus, subscription: Subscription, subject: str) -> None:
    with contextlib.suppress(Exception):
        await subscription.unsubscribe()
        await bus.send(subject)
