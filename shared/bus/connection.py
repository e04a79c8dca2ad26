"""One connection to NATS that never gives up: everything else in this package works in its sessions.

A session is one unbroken connection on which all streams are known to exist. The client library's own reconnecting is not used: it
would send again, to a server that may have been wiped meanwhile, what was meant for another session.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.backoff import Backoff
from shared.bus.errors import BusClosed, NoStream, Unavailable
from shared.bus.permissions import inbox
from shared.bus.publisher import Publisher, Result
from shared.bus.settings import BusSettings
from shared.bus.streams import TIMEOUT, api, ensure
from shared.bus.waiting import end
from shared.bus.wire import STREAMS, Outgoing, StreamSpec

log = structlog.get_logger("bus")

V = TypeVar("V", bytes, bytes | None)

HEADER_ROOM = 16 * 1024


class Session:
    """`number` grows with each connect. `incarnations`: stream -> incarnation. `lost` is set when the connection is gone."""

    def __init__(self, number: int, incarnations: Mapping[str, str], client: Client, publisher: Publisher) -> None:
        self.number = number
        self.incarnations = incarnations
        self.lost = asyncio.Event()
        self.wake: set[Callable[[], None]] = set()
        """Called once when the session is lost."""
        self.client = client
        self.publisher = publisher

    def end(self) -> None:
        self.lost.set()
        self.publisher.fail()
        for call in tuple(self.wake):
            call()


class Bus:
    """Make one with `await Bus.connect(settings, service=...)`; `await bus.close()` at the end."""

    def __init__(self, settings: BusSettings, service: str, streams: Sequence[StreamSpec]) -> None:
        self.settings = settings
        self.service = service
        self._streams = streams
        self._session: Session | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._reconnected: list[Callable[[], None]] = []

    @classmethod
    async def connect(cls, settings: BusSettings, *, service: str = "headgate", streams: Sequence[StreamSpec] = STREAMS) -> Bus:
        """Waits until NATS answers and the streams exist; gives up only when cancelled."""
        bus = cls(settings, service, streams)
        bus._task = asyncio.create_task(bus._run(), name="bus")
        try:
            await bus.session()
        except BaseException:
            await bus.close()
            raise
        return bus

    @property
    def connected(self) -> bool:
        return self._session is not None

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        """`callback()` runs at the start of every session after the first."""
        self._reconnected.append(callback)

    async def session(self, after: int = 0) -> Session:
        """The current session if its number is above `after`, otherwise the next one, however long that takes."""
        while self._session is None or self._session.number <= after:
            if self._task is not None and self._task.done():
                raise BusClosed("the bus is closed")
            await self._changed.wait()
        return self._session

    def restart(self) -> None:
        """Ends the session: its streams turned out to be gone, or the server does not answer any more."""
        if self._session is not None:
            self._session.end()

    async def close(self) -> None:
        if self._task is not None:
            await end(self._task)
            self._set(None)

    @property
    def max_value(self) -> int:
        """Bytes that one value may have: what the server takes, less room for headers."""
        known = self._session.client.max_payload if self._session is not None else self.settings.max_payload
        return min(known, self.settings.max_payload) - HEADER_ROOM

    def fitting(self, values: Mapping[str, V]) -> dict[str, V]:
        """The values that fit into a message; the others are logged. One object that is too large must not stop all others."""
        most = self.max_value
        fit = {k: v for k, v in values.items() if v is None or len(v) <= most}
        for key in values.keys() - fit.keys():
            log.error("bus.value_too_large", key=key, bytes=len(values[key] or b""), most=most)
        return fit

    # one session's operations: each raises Unavailable when there is none

    async def request(self, subject: str, body: bytes = b"", timeout: float = TIMEOUT) -> Msg:
        try:
            return await self._client().request(subject, body, timeout=timeout)
        except nats.errors.NoRespondersError as e:
            raise Unavailable(f"nothing answers at {subject}") from e
        except (nats.errors.Error, OSError, TimeoutError) as e:
            raise Unavailable(f"{subject}: {e or type(e).__name__}") from e

    async def api(self, name: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A request to $JS.API.<name>; ApiError when JetStream refuses it."""
        return await api(self._client(), name, body)

    async def subscribe(self, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """For this session only. Nothing that this connection publishes comes back (no_echo)."""
        try:
            return await self._client().subscribe(subject, cb=callback, pending_msgs_limit=0, pending_bytes_limit=0)
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(str(e)) from e

    async def send(self, subject: str, body: bytes = b"", reply: str = "") -> None:
        """Fire and forget."""
        try:
            await self._client().publish(subject, body, reply=reply)
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(str(e)) from e

    async def publish(self, messages: Sequence[Outgoing]) -> list[Result]:
        """Stores messages, pipelined; the answers in their order, each an acknowledgement or the error that it met."""
        if self._session is None:
            raise Unavailable("not connected to NATS")
        results = await self._session.publisher.publish(messages)
        if any(isinstance(r, NoStream) for r in results):
            self.restart()
        return results

    def inbox(self) -> str:
        return self._client().new_inbox()

    def _client(self) -> Client:
        if self._session is None:
            raise Unavailable("not connected to NATS")
        return self._session.client

    # the loop that keeps a session

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            client = Client()
            closed = asyncio.Event()
            try:
                async with asyncio.timeout(30):
                    session = await self._establish(client, closed)
                backoff.reset()
                self._set(session)
                waits = [asyncio.create_task(closed.wait()), asyncio.create_task(session.lost.wait())]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                log.warning("bus.disconnected", service=self.service)
            except Exception as e:  # whatever the client library makes of a half-open or half-configured server: try again
                log.warning("bus.unreachable", urls=list(self.settings.urls), error=str(e) or type(e).__name__)
            finally:
                self._set(None)
                await _close(client)
            await asyncio.sleep(backoff.next())

    async def _establish(self, client: Client, closed: asyncio.Event) -> Session:
        async def on_closed() -> None:
            closed.set()

        async def on_error(error: Exception) -> None:
            log.debug("bus.client_error", error=str(error) or type(error).__name__)

        await client.connect(
            servers=list(self.settings.urls),
            name=f"headgate-{self.service}",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=2,
            ping_interval=10,
            max_outstanding_pings=2,
            no_echo=True,
            inbox_prefix=inbox(self.service),
            closed_cb=on_closed,
            error_cb=on_error,
            **_identity(self.settings),
        )
        incarnations = {s.name: await ensure(client, s, self.settings.replicas) for s in self._streams}
        publisher = Publisher(client)
        await publisher.open()
        session = Session(next(self._numbers), incarnations, client, publisher)
        log.info("bus.connected", url=_url(client), session=session.number, service=self.service)
        return session

    def _set(self, session: Session | None) -> None:
        if self._session is not None and session is not self._session:
            self._session.end()
        self._session = session
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if session is not None and session.number > 1:
            for callback in self._reconnected:
                callback()


def _identity(settings: BusSettings) -> dict[str, Any]:
    """Connect options for who we are; files are read here so that a rotated one is taken at the next connect."""
    options: dict[str, Any] = {}
    if settings.credentials_file:
        options["user_credentials"] = settings.credentials_file
    if settings.user:
        options["user"] = settings.user
        options["password"] = Path(settings.password_file).read_text().strip() if settings.password_file else ""
    if settings.tls is not None:
        context = ssl.create_default_context(cafile=settings.tls.ca or None)
        if settings.tls.cert:
            context.load_cert_chain(settings.tls.cert, settings.tls.key)
        options["tls"] = context
    return options


def _url(client: Client) -> str:
    url = client.connected_url
    return f"{url.scheme}://{url.hostname}:{url.port}" if url is not None else ""


async def _close(client: Client) -> None:
    try:
        async with asyncio.timeout(2):
            await client.close()
    except (nats.errors.Error, OSError, TimeoutError) as e:
        log.debug("bus.close_failed", error=str(e))
