"""The translator without its bus: objects in, differences of shards, infrastructure and statuses out. Pure but for what it remembers.

One object's changes go in, and only what they change comes out; nothing here waits, and nothing raises because of an object.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from services.translator.emit.outputs import INFRA, OUTPUTS, SHARDS, STATUSES
from services.translator.settings import Environment, TranslatorSettings
from services.translator.stages.attach import attachments
from services.translator.stages.gateways import members
from services.translator.stages.listener_sets import gateway_of
from services.translator.stages.proxies import fleet_of
from services.translator.stages.tables import ENVIRONMENT, EXTENSIONS, FACTS, FAILED, INFRA_STATUS, INVALID, LATE, XDS_STATUS, table_of
from shared.api.parse import Invalid, parse, parse_extension
from shared.core.facts import Answer, Question, Wanted
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import ABSENT, Collection, Db, Table
from shared.ir.base import encode
from shared.ir.shards import GATEWAY
from shared.ir.status import InfraStatus, StatusPart, XdsStatus

RawObject = bytes | str | Mapping[str, Any]
PATIENCE = 2.0
"""Seconds that a wanted object may stay unknown before a condition says so."""


@contextmanager
def _collector_paused() -> Iterator[None]:
    """What a translation makes lives on in the Db: collecting in the middle of it finds nothing, and doubles a cold start."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Outputs(msgspec.Struct):
    """What changed since the last call. None stands for a removal.

    `shards` and `infra` are encoded JSON (shared.ir.base.encode); `statuses` are keyed (object, '<ns>/<name>' of the Gateway or '').
    `removed` are fleets that are gone as a whole; `shards` does not repeat them.
    `wants` and `pending` are whole, not differences: all objects that translation reads on demand, and for each fleet those of
    them that nobody has answered for yet, so that its outputs there are the last known ones.
    """

    shards: dict[GatewayRef, dict[str, bytes | None]]
    infra: dict[GatewayRef, bytes | None]
    statuses: dict[tuple[ObjectRef, str], StatusPart | None]
    wants: frozenset[Wanted]
    pending: dict[GatewayRef, frozenset[Wanted]]
    removed: frozenset[GatewayRef] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.shards or self.infra or self.statuses or self.removed)


class Translator:
    """Not thread-safe. `open_secret` turns one value of a Secret's data into bytes (ValueError or SealError where it cannot)."""

    def __init__(
        self,
        settings: TranslatorSettings,
        open_secret: Callable[[str], bytes],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.db = Db(outputs=OUTPUTS)
        self.db.apply({ENVIRONMENT: {"": Environment(settings, open_secret, now)}})
        self._extensions = settings.extensions
        self._clock = clock
        self._since: dict[Wanted, float] = {}
        self._late: set[Wanted] = set()
        self._failed: dict[ObjectRef, str] = {}

    def apply(self, changes: Mapping[ObjectRef, RawObject | None]) -> Outputs:
        """Objects as raw JSON or as plain data; None for one that is gone. Kinds that nothing here reads are ignored."""
        with _collector_paused():
            self.db.apply(self._rows(changes))
        return self._outputs()

    def _rows(self, changes: Mapping[ObjectRef, RawObject | None]) -> dict[Table[Any, Any], dict[ObjectRef, Any]]:
        rows: dict[Table[Any, Any], dict[ObjectRef, Any]] = {INVALID: {}}
        for ref, raw in changes.items():
            table = EXTENSIONS if self._theirs(ref) else table_of(ref)
            if table is None:
                continue
            row = None if raw is None else self._parsed(ref, raw)
            bad = isinstance(row, Invalid)
            rows.setdefault(table, {})[ref] = None if bad else row
            rows[INVALID][ref] = row if bad else None
        return rows

    def _theirs(self, ref: ObjectRef) -> bool:
        """Whether an object is of an extension server's kind."""
        return (ref.group, ref.kind) in self._extensions.resources or (ref.group, ref.kind) in self._extensions.policies

    def _parsed(self, ref: ObjectRef, raw: RawObject) -> Any:
        if self._theirs(ref):
            return parse_extension(raw, policy=(ref.group, ref.kind) in self._extensions.policies)
        return parse(ref, raw)

    def answer_absent(self, *refs: ObjectRef) -> None:
        """Wanted objects that do not exist; counts at the next `apply`."""
        absent: dict[Table[Any, Any], dict[ObjectRef, None]] = {}
        for ref in refs:
            if (table := table_of(ref)) is not None:
                absent.setdefault(table, {})[ref] = None
        self.db.apply(absent)

    def answer(self, answers: Mapping[Question, Answer]) -> None:
        """What the world outside says; counts at the next `apply`."""
        self.db.apply({FACTS: answers})

    def apply_infra_status(self, fleet: GatewayRef, status: InfraStatus | None) -> None:
        """Where a fleet can be reached and whether it runs (Gateway addresses and Programmed); counts at the next `apply`."""
        self.db.apply({INFRA_STATUS: {fleet: status}})

    def apply_xds_status(self, fleet: GatewayRef, replica: str, status: XdsStatus | None) -> None:
        """What one xds_server replica says; counts at the next `apply`.

        A rejection becomes Programmed=False (reason Invalid) on the objects that it names.
        """
        self.db.apply({XDS_STATUS: {(fleet, replica): status}})

    def deadline_pending(self) -> Outputs:
        """Makes statuses speak of what stayed unknown for PATIENCE; shards go on waiting. To be called now and then."""
        limit = self._clock() - PATIENCE
        self._late = {ref for ref, since in self._since.items() if since <= limit}
        self.db.apply({LATE: dict.fromkeys(self._late, True)})
        return self._outputs()

    def provenance(self, fleet: GatewayRef, key: str) -> frozenset[ObjectRef]:
        """The objects that a shard was computed from."""
        found = (self.db.provenance(each, (fleet, key)) for each in SHARDS)
        return frozenset(ref for rows in found for _, ref in rows if isinstance(ref, ObjectRef))

    def failures(self) -> dict[str, str]:
        """What crashed, by output and source, for logs; the objects' statuses say it too."""
        every: tuple[Collection[Any, Any], ...] = OUTPUTS
        return {f"{c.name}: {key}": f"{type(e).__name__}: {e}" for c in every for key, e in self.db.failures(c).items()}

    def _outputs(self) -> Outputs:
        with _collector_paused():
            return self._settled()

    def _settled(self) -> Outputs:
        self.db.settle()
        self._note_failures()
        wants = frozenset(ref for _, ref in self.db.wants())
        unknown = self._note_unknown()
        shards: dict[GatewayRef, dict[str, bytes | None]] = {}
        for each in SHARDS:
            for (fleet, key), new in self._drained(each):
                # endpoints that no route needs any more may be those of a policy's service
                left = new if new is not None else self._left(fleet, key)
                shards.setdefault(fleet, {})[key] = None if left is None else encode(left)
        removed = frozenset(fleet for fleet, own in shards.items() if own.get(GATEWAY, b"") is None)
        shards = {fleet: own for fleet, own in shards.items() if fleet not in removed}
        infra = {fleet: None if new is None else encode(new) for fleet, new in self._drained(INFRA)}
        statuses: dict[tuple[ObjectRef, str], StatusPart | None] = {}
        for collection in STATUSES:
            for at, new in self._drained(collection):
                # an object that became invalid (or valid) leaves one collection for another under the same key
                statuses[at] = new if new is not None else statuses.get(at)
        return Outputs(shards, infra, statuses, wants, self._pending(unknown) if unknown else {}, removed)

    def _left(self, fleet: GatewayRef, key: str) -> Any:
        """A shard that another collection gives still, or None."""
        found = (next(iter(self.db.group(each, (fleet, key)).values()), None) for each in SHARDS)
        return next((each for each in found if each is not None), None)

    def _drained(self, collection: Collection[Any, Any]) -> Iterable[tuple[Any, Any]]:
        for at, (_, new) in self.db.drain(collection).items():
            yield at, None if new is ABSENT else new

    def _note_failures(self) -> None:
        """A translation that crashed costs its object: the object's status says so."""
        failed: dict[ObjectRef, str] = {}
        translations: tuple[Collection[Any, Any], ...] = (*SHARDS, INFRA)
        for each in translations:
            for key, error in self.db.failures(each).items():
                for ref in self._behind(key):
                    failed[ref] = f"{type(error).__name__}: {error}"
        if failed != self._failed:
            self.db.apply({FAILED: {**dict.fromkeys(self._failed), **failed}})
            self._failed = failed
            self.db.settle()

    def _behind(self, key: Any) -> Iterable[ObjectRef]:
        if isinstance(key, ObjectRef):
            return (key,)
        return members(self.db, key if isinstance(key, GatewayRef) else key[0])

    def _note_unknown(self) -> frozenset[Wanted]:
        unknown: frozenset[Wanted] = self.db.unknown()
        now = self._clock()
        self._since = {ref: self._since.get(ref, now) for ref in unknown}
        if answered := self._late - unknown:
            self._late -= answered
            self.db.apply({LATE: dict.fromkeys(answered)})
        return unknown

    def _pending(self, unknown: frozenset[Wanted]) -> dict[GatewayRef, frozenset[Wanted]]:
        found: dict[GatewayRef, set[Wanted]] = {}
        for each in OUTPUTS:
            for key in self.db.pending(each):
                for fleet in self._fleets(key):
                    found.setdefault(fleet, set()).update(unknown)
        return {fleet: frozenset(refs) for fleet, refs in found.items()}

    def _fleets(self, key: Any) -> Iterable[GatewayRef]:
        if isinstance(key, GatewayRef):
            return (key,)
        if not isinstance(key, ObjectRef):
            return (key[0],)
        gateway = gateway_of(self.db, key) if key.kind == "ListenerSet" else key if key.kind == "Gateway" else None
        return (fleet_of(self.db, gateway),) if gateway is not None else [each.fleet for each in attachments(self.db, key)]
