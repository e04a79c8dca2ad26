"""What extension servers last answered, on the bus: a replica that starts, or does not ask itself, takes it from there.

One value for each thing that is asked about, so what is kept is as much as what is there. Questions and answers may hold private keys:
they stand there sealed.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog

from services.xds_server.hooks.plan import Answer, Ask, Slot
from shared.bus.connection import Bus
from shared.bus.table import TableReader
from shared.bus.wire import Entry
from shared.core import names
from shared.core.refs import GatewayRef
from shared.core.sealing import Sealer, SealError
from shared.extension.protocol import TRANSLATION
from shared.xds.wire import framed

log = structlog.get_logger("xds-server")

PREFIX = "hooks"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """`hooks.<ns>.<name>.<extension>.<hook>.<about>`: a question and its answer.

    `digest` stands for the question and its server's configuration. `request` and `answer` are sealed zlib of the messages; without an
    answer the resource stayed as it was. `ms` is how long it took. `failed`: the server gave none, and its resources go out unchanged.
    `after` are the servers that were asked before this one.
    """

    extension: str
    hook: str
    resource: str
    digest: str
    ms: float = 0
    request: str = ""
    answer: str | None = None
    failed: str = ""
    after: str = ""

    def response(self, body: bytes) -> bytes:
        """The response message that an answer's body came from."""
        return body if self.hook == TRANSLATION else framed(1, body)


class Last(NamedTuple):
    digest: str
    answer: Answer
    failed: str = ""
    after: str = ""


def subject(gateway: GatewayRef, slot: Slot) -> str:
    about = hashlib.blake2b(slot.resource.encode(), digest_size=12).hexdigest()
    return f"{gateway.subject(PREFIX)}.{names.escape(slot.server)}.{slot.hook}.{about}"


def packed(sealer: Sealer, data: bytes) -> str:
    return sealer.seal(zlib.compress(data, 1))


def unpacked(sealer: Sealer, token: str) -> bytes:
    """Raises SealError, and ValueError where it is no zlib."""
    try:
        return zlib.decompress(sealer.open(token))
    except zlib.error as e:
        raise ValueError(str(e)) from e


def record(sealer: Sealer, ask: Ask, request: bytes, last: Last, ms: float, most: int) -> bytes | None:
    """The value to keep; without the question where both do not fit into a message, None where the answer does not."""
    body = packed(sealer, last.answer.body) if last.answer.body is not None else None
    made = Record(ask.server, ask.hook, ask.resource, ask.digest, ms, packed(sealer, request), body, after=last.after)
    for each in (made, msgspec.structs.replace(made, request="")):
        data = msgspec.json.encode(each)
        if len(data) <= most:
            return data
    return None


class Kept:
    """All that stands on the bus, by Gateway and what it is about. `on_change` hears of every value that is new, and `on_gone` of those
    that somebody has taken away: what it returns of them is still of use, and stays."""

    def __init__(
        self,
        sealer: Sealer,
        on_change: Callable[[GatewayRef, Slot], None],
        on_gone: Callable[[GatewayRef, frozenset[Slot]], frozenset[Slot]],
    ) -> None:
        self._sealer = sealer
        self._on_change, self._on_gone = on_change, on_gone
        self._by_subject: dict[str, tuple[GatewayRef, Slot]] = {}
        self._last: dict[GatewayRef, dict[Slot, Last]] = {}

    def get(self, gateway: GatewayRef, slot: Slot) -> Last | None:
        return self._last.get(gateway, {}).get(slot)

    def known(self, gateway: GatewayRef, ask: Ask) -> Last | None:
        """What came of this very question."""
        own = self.get(gateway, ask.slot)
        if own is not None and own.digest == ask.digest:
            return own
        return None

    def put(self, gateway: GatewayRef, slot: Slot, last: Last) -> None:
        self._last.setdefault(gateway, {})[slot] = last
        self._by_subject[subject(gateway, slot)] = (gateway, slot)

    def slots(self, gateway: GatewayRef) -> frozenset[Slot]:
        return frozenset(self._last.get(gateway, ()))

    def value(self, gateway: GatewayRef, slot: Slot) -> bytes:
        """What is known of it, to be written again; the question went with what stood there."""
        last = self._last[gateway][slot]
        body = packed(self._sealer, last.answer.body) if last.answer.body is not None else None
        made = Record(slot.server, slot.hook, slot.resource, last.digest, answer=body, failed=last.failed, after=last.after)
        return msgspec.json.encode(made)

    def drop(self, gateway: GatewayRef, slot: Slot) -> None:
        self._last.get(gateway, {}).pop(slot, None)
        self._by_subject.pop(subject(gateway, slot), None)

    async def follow(self, bus: Bus, whole: Callable[[], None]) -> None:
        """Until cancelled; `whole` is called when all that stands there has been read."""
        reader = TableReader(bus, [f"{PREFIX}.>"])
        try:
            async for batch in reader:
                gone: dict[GatewayRef, set[Slot]] = {}
                for at, entry in batch.changes.items():
                    if entry is not None:
                        self._take(at, entry)
                    elif (known := self._by_subject.get(at)) is not None:
                        gone.setdefault(known[0], set()).add(known[1])
                for gateway, slots in gone.items():
                    for slot in slots - self._on_gone(gateway, frozenset(slots)):
                        self.drop(gateway, slot)
                whole()
        finally:
            await reader.close()

    def _take(self, at: str, entry: Entry) -> None:
        try:
            found = msgspec.json.decode(entry.value, type=Record)
            body = unpacked(self._sealer, found.answer) if found.answer is not None else None
        except (msgspec.DecodeError, SealError, ValueError) as e:
            log.warning("unreadable_answer", subject=at, error=str(e))
            return
        tokens = at.split(".")
        gateway = GatewayRef(names.unescape(tokens[1]), names.unescape(tokens[2]))
        slot = Slot(found.extension, found.hook, found.resource)
        self.put(gateway, slot, Last(found.digest, Answer(body, stands_in=bool(found.failed)), found.failed, found.after))
        self._on_change(gateway, slot)
