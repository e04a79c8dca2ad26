"""The hook that sees a Gateway as a whole: all that was rendered and patched goes out only as the extension servers give it back.

A round takes what there is at its start and asks one server after the other; what changes meanwhile is for the next round, so however
often a Gateway changes, the latest state is asked about, and each round's result is whole. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from services.xds_server.derive.hooks import reworked
from services.xds_server.hooks.plan import Answer, Ask, Given, Server, Slot, ask, of_kinds
from services.xds_server.patching import SYSTEM_CA
from services.xds_server.render.parts import MODULUS
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Need, Rendered, digest
from shared.extension import protocol
from shared.extension.protocol import TRANSLATION

PATIENCE = 16
"""Changes that a round waits for answers to the other hooks, so that servers see few states that are nobody's."""
KINDS = {"cluster": CLUSTER, "secret": SECRET, "listener": LISTENER, "route": ROUTE}
Resources = dict[Need, Rendered]
Moves = dict[Need, Rendered | None]


class Translation:
    """`rendered` is what there is, `shown` what goes out. Without a server that wants this hook both are one."""

    def __init__(self, servers: Iterable[Server]) -> None:
        self._servers = tuple(s for s in servers if TRANSLATION in s.hooks)
        self.rendered: Resources = {}
        self.shown: Resources = {} if self._servers else self.rendered
        self.makers: Mapping[Need, str] = {}
        """Which server a resource that is shown comes from, where it is not as it was rendered."""
        self._sums: Counter[str] = Counter()
        self._policies: tuple[Given, ...] = ()
        self._stale = False
        self._waited = 0
        self._round: _Round | None = None

    @property
    def open(self) -> Ask | None:
        """The question that waits for an answer."""
        return self._round.ask if self._round is not None else None

    @property
    def slots(self) -> frozenset[Slot]:
        """What its questions are about."""
        return frozenset(Slot(s.name, TRANSLATION, "") for s in self._servers)

    def request(self) -> bytes:
        """What the open question sends."""
        return self._round.request() if self._round is not None else b""

    def move(self, moved: Mapping[Need, Rendered | None], policies: tuple[Given, ...], settled: bool) -> Moves:
        """Takes what came out of rendering different; what of it goes out at once: all, or endpoints alone.

        `settled`: nobody is waited for in rendering.
        """
        for need, new in moved.items():
            self._count(need, self.rendered.get(need), new)
            if new is None:
                self.rendered.pop(need, None)
            else:
                self.rendered[need] = new
        if not self._servers:
            return dict(moved)
        self._stale |= policies != self._policies or any(need[0] != ENDPOINT or new is None for need, new in moved.items())
        self._policies = policies
        endpoints: Moves = {need: new for need, new in moved.items() if need[0] == ENDPOINT and new is not None}
        self._show(endpoints)
        self._waited = 0 if settled else self._waited + 1
        self._begin()
        return endpoints

    def renew(self) -> None:
        """Where another replica asks, and about the latest state alone: an older one is not waited for."""
        if self._stale and self._round is not None:
            self._round.failed = True
            self._begin()

    def answer(self, given: Ask, answer: Answer) -> Moves:
        """Takes an answer; what goes out because of it.

        One that is withheld leaves everything as it was. Its body, the last good answer, stands in where nothing is shown yet; the same is
        asked again then.
        """
        if self._round is None or given != self._round.ask:
            return {}
        if answer.withheld and (answer.body is None or any(need[0] != ENDPOINT for need in self.shown)):
            self._round.failed = True
            self._begin()
            return {}
        self._round.take(answer)
        if self._round.ask is not None:
            return {}
        moves = self._difference(self._round.resources)
        self._show(moves)
        self._stale |= self._round.stood_in
        self.makers = self._round.makers
        self._round = None
        self._begin()
        return moves

    def _begin(self) -> None:
        if self._stale and (self._round is None or self._round.failed) and not 0 < self._waited < PATIENCE:
            self._stale, self._waited = False, 0
            self._round = _Round(self._servers, dict(self.rendered), self._sums, self._policies)

    def _count(self, need: Need, old: Rendered | None, new: Rendered | None) -> None:
        for each, sign in ((old, -1), (new, 1)):
            if each is not None:
                self._sums[need[0]] = (self._sums[need[0]] + sign * _mark(need, each)) % MODULUS

    def _difference(self, now: Resources) -> Moves:
        # endpoints have gone out meanwhile
        now = {need: self.rendered.get(need, each) if need[0] == ENDPOINT else each for need, each in now.items()}
        now |= {need: each for need, each in self.rendered.items() if need[0] == ENDPOINT}
        moves: Moves = {need: each for need, each in now.items() if self.shown.get(need) != each}
        return moves | {need: None for need in self.shown if need not in now}

    def _show(self, moves: Moves) -> None:
        for need, new in moves.items():
            if new is None:
                self.shown.pop(need, None)
            else:
                self.shown[need] = new


def _mark(need: Need, of: Rendered) -> int:
    return digest(f"{need[1]}\0{of.version}".encode())


class _Round:
    """One state of a Gateway on its way through the servers."""

    def __init__(self, servers: tuple[Server, ...], resources: Resources, sums: Mapping[str, int], policies: tuple[Given, ...]) -> None:
        self._left = list(servers)
        self._policies = policies
        self.resources = resources
        self.makers: dict[Need, str] = {}
        self.failed = self.stood_in = False
        self.ask: Ask | None = self._question({kind: sums.get(url, 0) for kind, url in KINDS.items()})

    def take(self, answer: Answer) -> None:
        server = self._left.pop(0)
        self.stood_in |= answer.withheld
        if answer.body is not None:
            before, self.resources = self.resources, applied(server, self.resources, answer.body)
            self.makers |= {need: server.name for need, each in self.resources.items() if before.get(need) != each}
        self.ask = self._question({kind: self._sum(url) for kind, url in KINDS.items()}) if self._left else None

    def request(self) -> bytes:
        server = self._left[0]
        found = ((kind, (r.body for need, r in sorted(self.resources.items()) if need[0] == KINDS[kind])) for kind in self._kinds(server))
        return protocol.translation_request(of_kinds(self._policies, server.policies), found)

    def _question(self, sums: Mapping[str, int]) -> Ask:
        """Known by sums over what it holds: a Gateway's resources are never read through to see whether they changed."""
        server = self._left[0]
        content = [f"{kind} {sums[kind]:032x}".encode() for kind in self._kinds(server)]
        made = ask(server, TRANSLATION, "", b"\0".join((*content, *of_kinds(self._policies, server.policies))))
        return made._replace(request=b"")

    def _sum(self, type_url: str) -> int:
        return sum(_mark(need, each) for need, each in self.resources.items() if need[0] == type_url) % MODULUS

    @staticmethod
    def _kinds(server: Server) -> tuple[str, ...]:
        return tuple(kind for kind in KINDS if kind in server.includes)


def applied(server: Server, before: Resources, response: bytes) -> Resources:
    """The resources with what a server gave back in place of what it was given. The system's trust store is nobody's to change."""
    given = {KINDS[kind] for kind in server.includes}
    out = {need: each for need, each in before.items() if need[0] not in given or need == (SECRET, SYSTEM_CA)}
    for kind, bodies in protocol.translated(response).items():
        for body in bodies if kind in server.includes else ():
            need = (KINDS[kind], protocol.name_of(body))
            if need == (SECRET, SYSTEM_CA):
                continue
            made = reworked(need[0], body, before.get(need))
            if made is not None:
                out[need] = made
    return out
