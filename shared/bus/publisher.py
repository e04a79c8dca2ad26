"""Pipelined publishing: a version's shards leave in one go and their acknowledgements are awaited together."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.errors import ApiError, BusError, NoStream, Unavailable
from shared.bus.wire import Outgoing

WINDOW = 2000
"""Messages under way at once: nats-server refuses more than 10,000 waiting for one stream."""
TIMEOUT = 10.0


class Ack(NamedTuple):
    """Stored at `seq` of `stream`."""

    stream: str
    seq: int


Result = Ack | BusError


class Publisher:
    """Belongs to one session; after `fail` every call answers Unavailable."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._prefix = client.new_inbox() + "."
        self._tokens = itertools.count()
        self._waiting: dict[str, asyncio.Future[Result]] = {}
        self._failed = False

    async def open(self) -> None:
        await self._client.subscribe(self._prefix + "*", cb=self._answer, pending_msgs_limit=0, pending_bytes_limit=0)

    def fail(self) -> None:
        """The connection is gone: nobody will answer."""
        self._failed = True
        for future in self._waiting.values():
            if not future.done():
                future.set_result(Unavailable("the connection was lost before the answer came"))

    async def publish(self, messages: Sequence[Outgoing]) -> list[Result]:
        results: list[Result] = []
        for start in range(0, len(messages), WINDOW):
            results += await self._window(messages[start : start + WINDOW])
        return results

    async def _window(self, messages: Sequence[Outgoing]) -> list[Result]:
        loop = asyncio.get_running_loop()
        tokens = [str(next(self._tokens)) for _ in messages]
        futures = [loop.create_future() for _ in messages]
        try:
            for token, future, message in zip(tokens, futures, messages, strict=True):
                self._waiting[token] = future
                if self._failed:
                    future.set_result(Unavailable("not connected to NATS"))
                    continue
                try:
                    await self._client.publish(
                        message.subject, message.value, reply=self._prefix + token, headers=dict(message.headers) or None
                    )
                except (nats.errors.Error, OSError) as e:
                    if not future.done():
                        future.set_result(_refused(e, message))
            if futures:
                await asyncio.wait(futures, timeout=TIMEOUT)
            return [f.result() if f.done() else Unavailable("no answer in time") for f in futures]
        finally:
            for token in tokens:
                self._waiting.pop(token, None)

    async def _answer(self, msg: Msg) -> None:
        future = self._waiting.get(msg.subject[len(self._prefix) :])
        if future is not None and not future.done():
            future.set_result(_parse(msg))


def _refused(error: Exception, message: Outgoing) -> BusError:
    if isinstance(error, nats.errors.MaxPayloadError):
        return ApiError(413, 0, f"{message.subject}: {len(message.value)} bytes are more than the server takes")
    return Unavailable(str(error) or type(error).__name__)


def _parse(msg: Msg) -> Result:
    if not msg.data:
        return NoStream("no stream takes this subject")
    answer = json.loads(msg.data)
    error = answer.get("error")
    if error:
        refused = ApiError(error.get("code", 0), error.get("err_code", 0), error.get("description", ""))
        # 503: JetStream is starting or has no leader; 429: too many messages waiting
        return Unavailable(str(refused)) if refused.status in (503, 429) else refused
    return Ack(answer["stream"], answer["seq"])
