"""One Gateway's resources, kept up to date shard by shard. Pure: bytes in, changed resources out, no I/O.

A shard can be quarantined: then what Envoy last accepted of it stands in for it, or a harmless stand-in where there was nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.xds_server.derive import outputs
from services.xds_server.derive.hooks import ANSWERS, SERVERS, given, keys
from services.xds_server.derive.listeners import ROUTE_CONFIGS, shard_faults
from services.xds_server.derive.routes import ROUTE_OUTPUTS, RouteKey, refused
from services.xds_server.derive.tables import MISDIRECTED, NAMES, OPEN_SECRET, OPTIONS, TABLES, VALIDATE, listener_of
from services.xds_server.hooks.plan import Answer, Ask, Given, Server, Slot
from services.xds_server.hooks.translation import Translation
from services.xds_server.limits.board import Counter
from services.xds_server.patching import Patches
from services.xds_server.render.names import USUAL, Names
from services.xds_server.render.tls import OpenSecret
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Need, Rendered
from services.xds_server.resources import Resource, ResourceChanges, changes, merged, resource
from shared.extension.protocol import OF_ALL, TRANSLATION
from shared.incremental import ABSENT, Db
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener, HttpRouteShard
from shared.ir.patch import PatchShard
from shared.ir.policy import PolicyShard
from shared.ir.shards import GATEWAY, Shard, parse, shard_type
from shared.ir.status import PatchReport
from shared.ir.tcp import TcpListener
from shared.ir.udp import UdpListener

Row = Shard | None
_SPARE_ANSWERS = 64
LISTENER_KINDS = (HttpListener, TcpListener, UdpListener)


class GatewayStore:
    """Shards of one Gateway -> resources. `validate` checks rendered parts, which costs a little for each route; `misdirected`: what
    belongs to another HTTPS listener of a port is refused."""

    def __init__(
        self,
        open_secret: OpenSecret,
        *,
        validate: bool = True,
        names: Names = USUAL,
        misdirected: bool = True,
        extensions: tuple[Server, ...] = (),
    ) -> None:
        self._db = Db(outputs=(*outputs.ALL, ROUTE_OUTPUTS))
        options = {OPEN_SECRET: open_secret, VALIDATE: validate, NAMES: names, MISDIRECTED: misdirected, SERVERS: extensions}
        self._db.apply({OPTIONS: options})
        self._shards: dict[str, Shard] = {}
        self._before: dict[str, Row] = {}
        self._quarantine: dict[str, bool] = {}
        self._translation = Translation(extensions)
        self._held: set[Need] = set()
        self._answered: set[Ask] = set()
        self._stand_ins: dict[Ask, bool] = {}
        """Asked, and not answered by its server; whether what stands in may lead to what is there no more."""
        self._most_answered = _SPARE_ANSWERS
        self._patches = Patches()
        self._problems: dict[str, tuple[str, ...]] = {}
        self._unreadable: dict[str, str] = {}
        self._moved_limits: set[Counter] = set()
        self.version = 0

    def apply(self, version: int, changed: Mapping[str, bytes | None]) -> ResourceChanges:
        """Takes the shards of a new version (None: gone) and returns the resources that came out different.

        A shard that cannot be read is kept as it was, and shows in `problems`.
        """
        self.version = version
        rows: dict[str, Row] = {}
        for key, data in changed.items():
            try:
                rows[key] = parse(key, data) if data is not None else None
            except (msgspec.ValidationError, msgspec.DecodeError, KeyError) as e:
                self._unreadable[key] = str(e) or type(e).__name__
                continue
            self._unreadable.pop(key, None)
            old = self._shards.get(key)
            if rows[key] != old:
                # only the content before the first unaccepted change is known to be good
                self._before.setdefault(key, old)
                if rows[key] is None and self._before[key] is None:
                    del self._before[key]
        return self.set_shards(rows)

    def set_shards(self, rows: Mapping[str, Row]) -> ResourceChanges:
        """As `apply`, for shards that are already parsed."""
        effective: dict[str, Row] = {}
        for key, row in rows.items():
            if row is None:
                self._shards.pop(key, None)
            else:
                self._shards[key] = row
            # a new content gets a new chance
            self._quarantine.pop(key, None)
            effective[key] = row
        return self._settle(effective)

    def moved_limits(self) -> Mapping[Counter, bytes | None]:
        """Descriptors for the rate limit service that changed since the last call; None for those that are gone."""
        moved, self._moved_limits = self._moved_limits, set()
        groups = {key: self._db.group(ROUTE_OUTPUTS, RouteKey("limit", key.domain, key.name)) for key in moved}
        return {key: next(iter(group.values()), None) for key, group in groups.items()}

    def accept(self) -> None:
        """A proxy has accepted everything as it is now: from here on it is what quarantine falls back to."""
        if self._before:
            self._before = {k: row for k, row in self._before.items() if k in self._quarantine}

    def suspects(self) -> tuple[str, ...]:
        """Keys of the shards that changed since what was last accepted, without those in quarantine."""
        return tuple(sorted(k for k in self._before if k not in self._quarantine))

    def suspects_of(self, need: Need) -> tuple[tuple[str, ...], ...]:
        """Those of `suspects` that the resource is made of; first those that are closest to it, and touch the least besides."""
        reached = self._reached(need)
        found = [k for k in self.suspects() if k in reached or listener_of(k) in reached]
        close = tuple(k for k in found if k != GATEWAY and (shard_type(k) in LISTENER_KINDS) is (need[0] == LISTENER))
        rest = tuple(k for k in found if k not in close)
        patching = tuple(k for k in self.suspects() if k in self._patches.touching(need))
        return tuple(group for group in (patching, close, rest) if group)

    def listeners_of(self, need: Need) -> tuple[str, ...]:
        """Keys of the listeners' shards that a resource was computed from."""
        return tuple(sorted(k for k in self._reached(need) if shard_type(k) in LISTENER_KINDS))

    def _reached(self, need: Need) -> frozenset[str]:
        """Keys of the shards that a resource was computed from; a listener's key stands for its routes too."""
        type_url, name = need
        if type_url == ROUTE:
            listeners = (k for keys in self._db.group(ROUTE_CONFIGS, name).values() for k in keys)
            return frozenset((GATEWAY, *listeners, *(k for k in self._before if shard_type(k) is PolicyShard)))
        rows: set[str] = set()
        for collection in outputs.ALL:
            rows.update(key for table, key in self._db.provenance(collection, need) if table in TABLES.values())
        if type_url != LISTENER:
            # these have their shard to blame, not the listener that its route stands under
            return frozenset(k for k in rows if shard_type(k) not in LISTENER_KINDS)
        return frozenset(rows)

    def content(self, need: Need) -> str | None:
        """The version of a resource's content as it is now; None where there is no such resource."""
        found = self._translation.shown.get(need)
        return found.version if found is not None else None

    def quarantine(self, keys: Iterable[str], *, bare: Iterable[str] = ()) -> ResourceChanges:
        """Sets these shards aside, the others of the quarantine free, and returns what that changes.

        Of those in `bare` that were never accepted not even a stand-in is served.
        """
        nothing = frozenset(bare)
        wanted = {k: k in nothing for k in keys}
        freed = {k: self._shards.get(k) for k in self._quarantine if k not in wanted}
        held = {k: self._stand_in(k, empty) for k, empty in wanted.items() if self._quarantine.get(k) != empty}
        self._quarantine = wanted
        return self._settle(freed | held)

    def __len__(self) -> int:
        """How many resources there are."""
        return len(self._translation.shown)

    @property
    def quarantined(self) -> frozenset[str]:
        return frozenset(self._quarantine)

    def _stand_in(self, key: str, bare: bool) -> Row:
        before = self._before.get(key)
        current = self._shards.get(key)
        if before is not None:
            return before
        if isinstance(current, HttpRouteShard) and not bare:
            return HttpRouteShard(order=current.order, routes=tuple(refused(r) for r in current.routes))
        if isinstance(current, PolicyShard):
            return PolicyShard(policy=current.policy, refuses=True)
        if isinstance(current, GatewayShard):
            return GatewayShard(
                ready_listener=current.ready_listener,
                http_listeners=current.http_listeners,
                tcp_listeners=current.tcp_listeners,
                udp_listeners=current.udp_listeners,
            )
        return None

    def _settle(self, rows: Mapping[str, Row]) -> ResourceChanges:
        tables: dict[Any, dict[str, Row]] = {}
        patches: dict[str, PatchShard | None] = {}
        for key, row in rows.items():
            # a shard of a kind that is not rendered must not hold back the others
            if (kind := shard_type(key)) in TABLES:
                tables.setdefault(TABLES[kind], {})[key] = row
            elif kind is PatchShard:
                patches[key] = row if isinstance(row, PatchShard) else None
        self._db.apply(tables)
        return self._settled(patches)

    def _settled(self, patches: Mapping[str, PatchShard | None]) -> ResourceChanges:
        self._db.settle()
        self._forget_stand_ins()
        moved: dict[Need, Rendered | None] = {}
        for collection in reversed(outputs.ALL):
            for need, (_, now) in self._db.drain(collection).items():
                first = collection is outputs.BY_TYPE[need[0]][0]
                moved[need] = now if first and now is not ABSENT else self._current(need)
        for out_key, (_, new) in self._db.drain(ROUTE_OUTPUTS).items():
            if out_key.kind == "limit":
                self._moved_limits.add(Counter(out_key.of, out_key.name))
            if out_key.kind != "problem":
                continue
            if new is ABSENT:
                self._problems.pop(out_key.of, None)
            else:
                self._problems[out_key.of] = new
        moved = {need: self._current(need) for need in self._held} | moved
        self._patches.take(patches)
        out: dict[Need, Rendered | None] = {}
        for need, new in self._patches.over(moved, self._current, anew=bool(patches)).items():
            if new != self._translation.rendered.get(need):
                out[need] = new
        self._held = self._too_early(out)
        shown = self._translation.move({n: r for n, r in out.items() if n not in self._held}, self._attached(), self.settled)
        return changes(sorted(shown.items(), key=lambda item: item[0]))

    def _too_early(self, out: Mapping[Need, Rendered | None]) -> set[Need]:
        """While extension servers are asked: what others still lead to does not go, and what leads to clusters waits for these."""
        if not self._db.unanswered(ANSWERS) and not any(self._stand_ins.values()):
            return set()
        clusters = any(self._db.pending(each) for each in outputs.BY_TYPE[CLUSTER])
        gone = {need for need, new in out.items() if new is None and need[0] in (CLUSTER, ENDPOINT, SECRET)}
        return gone | ({need for need in out if need[0] in (LISTENER, ROUTE)} if clusters else set())

    def _attached(self) -> tuple[Given, ...]:
        """The policies that the Gateway's extension servers are told of."""
        shard = self._shards.get(GATEWAY)
        return given(self._db, keys(shard.extension_server_policies)) if isinstance(shard, GatewayShard) else ()

    # extension servers

    @property
    def settled(self) -> bool:
        """Whether nothing in rendering waits for an answer."""
        return not self._db.unanswered(ANSWERS)

    def asks(self) -> frozenset[Ask]:
        """Questions to extension servers that nobody has answered."""
        found = self._db.unanswered(ANSWERS)
        open = self._translation.open
        return found | {open} if open is not None else found

    def unheard(self) -> frozenset[str]:
        """Servers that have to see everything of a kind and have never answered: without them there would be less than proxies have."""
        heard: dict[str, bool] = {}
        for ask in self._answered:
            answer = self._db.get(ANSWERS, ask) if ask.hook in OF_ALL and self._db.wanted(ANSWERS, ask) else None
            if answer is not None:
                heard[ask.server] = heard.get(ask.server, False) or not answer.withheld
        return frozenset(name for name, once in heard.items() if not once)

    def asking(self, ask: Ask) -> bool:
        """Whether the answer is still of use, given already or not."""
        return self._translation.open == ask or self._db.wanted(ANSWERS, ask)

    def wanted(self) -> frozenset[Slot]:
        """What servers are asked about, answered or not."""
        open = self._translation.slots
        return open | {ask.slot for table, ask in self._db.wants() if table is ANSWERS}

    def maker(self, need: Need) -> str:
        """The extension server that a resource comes from; '' where it is as it was rendered."""
        return self._translation.makers.get(need, "")

    def renew(self) -> None:
        """Another replica asks: of what takes the whole Gateway, only the latest state counts."""
        self._translation.renew()

    def request_of(self, ask: Ask) -> bytes:
        """What an open question sends."""
        return self._translation.request() if ask.hook == TRANSLATION else ask.request

    def answer(self, answers: Mapping[Ask, Answer]) -> ResourceChanges:
        """Takes answers, and returns the resources that came out different."""
        moves: dict[Need, Rendered | None] = {}
        for ask, answer in answers.items():
            if ask.hook == TRANSLATION:
                moves |= self._translation.answer(ask, answer)
        rows = {ask: answer for ask, answer in answers.items() if self._db.wanted(ANSWERS, ask)}
        self._db.apply({ANSWERS: rows})
        self._answered.update(rows)
        self._stand_ins = {ask: old for ask, old in self._stand_ins.items() if ask not in rows}
        self._stand_ins |= {ask: answer.body is not None for ask, answer in rows.items() if answer.stands_in}
        if len(self._answered) > self._most_answered:
            self._forget_answers()
        first = changes(sorted(moves.items(), key=lambda item: item[0]))
        return merged(first, self._settled({})) if rows else first

    def _forget_stand_ins(self) -> None:
        """Of questions that nobody has now: should they come again, their servers are to be asked."""
        over = {ask for ask in self._stand_ins if not self._db.wanted(ANSWERS, ask)}
        if over:
            self._db.apply({ANSWERS: dict.fromkeys(over)})
            self._stand_ins = {ask: old for ask, old in self._stand_ins.items() if ask not in over}
            self._answered -= over

    def _forget_answers(self) -> None:
        """Answers to what nobody asks any more."""
        wanted = {ask for table, ask in self._db.wants() if table is ANSWERS}
        self._db.apply({ANSWERS: dict.fromkeys(self._answered - wanted)})
        self._answered &= wanted
        self._most_answered = 2 * len(self._answered) + _SPARE_ANSWERS

    def everything(self) -> ResourceChanges:
        """All resources as changes."""
        return changes(sorted(self._translation.shown.items()))

    def _current(self, need: Need) -> Rendered | None:
        for collection in outputs.BY_TYPE[need[0]]:
            group = self._db.group(collection, need)
            if group:
                return next(iter(group.values()))
        return None

    def snapshot(self) -> dict[str, dict[str, Resource]]:
        """All resources, by type URL and name."""
        out: dict[str, dict[str, Resource]] = {}
        for (type_url, name), content in self._translation.shown.items():
            out.setdefault(type_url, {})[name] = resource(type_url, name, content)
        return out

    @property
    def problems(self) -> dict[str, tuple[str, ...]]:
        """Shard key -> what could not be rendered of it."""
        failed = {k: (str(e),) for c in outputs.FROM_SHARDS for k, e in self._db.failures(c).items()}
        return failed | {k: (t,) for k, t in self._unreadable.items()} | self._problems | shard_faults(self._db)

    @property
    def patch_reports(self) -> dict[str, PatchReport]:
        """What became of each EnvoyPatchPolicy."""
        return self._patches.reports

    def shard(self, key: str) -> Row:
        """The shard as it was last given."""
        return self._shards.get(key)

    @property
    def evaluations(self) -> Mapping[str, int]:
        """How often each derivation ran: what tests count."""
        return self._db.evaluations
