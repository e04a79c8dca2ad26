"""One Gateway in this replica: its store, its view, the search for what Envoy refuses, and who is connected. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from services.xds_server.ads.outcomes import Accepted, Outcome, PutOff
from services.xds_server.ads.stream import Limits, Stream
from services.xds_server.ads.view import View
from services.xds_server.hooks.plan import Answer, Ask, Server, Slot
from services.xds_server.limits.board import Counter
from services.xds_server.rejections import Rejections
from services.xds_server.render.names import USUAL, Names
from services.xds_server.render.tls import OpenSecret
from services.xds_server.render.types import Need
from services.xds_server.resources import ResourceChanges
from services.xds_server.store import GatewayStore
from shared.core.refs import GatewayRef
from shared.extension.protocol import TRANSLATION
from shared.ir.gateway import GatewayShard
from shared.ir.shards import GATEWAY
from shared.ir.status import ExtensionReport, Rejection, XdsStatus
from shared.ir.unstructured import ExtensionServer


def tag_of(incarnation: str) -> str:
    """A short mark of a stream's incarnation, to go into resource versions."""
    return hashlib.blake2b(incarnation.encode(), digest_size=3).hexdigest()


class GatewayState:
    """Survives the removal of its Gateway as long as a proxy is connected: a removed Gateway answers nothing."""

    def __init__(
        self, ref: GatewayRef, open_secret: OpenSecret, limits: Limits, names: Names = USUAL, extensions: tuple[Server, ...] = ()
    ) -> None:
        self.ref = ref
        self.view = View()
        self.streams: dict[Stream, str] = {}
        self._open_secret = open_secret
        self._limits = limits
        self._names = names
        self._extensions = extensions
        self.faults: Mapping[str, ExtensionReport] = {}
        """What is wrong with extension servers, by name."""
        self._reset()

    def _reset(self) -> None:
        self._store = GatewayStore(self._open_secret, names=self._names, extensions=self._extensions)
        self._rejections = Rejections(self._store, str(self.ref))
        self._keys: set[str] = set()
        self._fresh = True
        self.rendered = True
        """Whether all that there is has been rendered once: no route waits for its first answers from extension servers."""
        self._version, self._tag = 0, ""

    def update(self, version: int, incarnation: str, changed: Mapping[str, bytes | None], full: bool) -> int:
        """Takes a version's shards (`full`: all there are) and returns how many resources came out different."""
        if full:
            changed = dict.fromkeys(self._keys - changed.keys()) | dict(changed)
        for key, data in changed.items():
            if data is None:
                self._keys.discard(key)
            else:
                self._keys.add(key)
        tag = tag_of(incarnation)
        changes = self._store.apply(version, changed)
        self.rendered = (self.rendered and self._version > 0) or self._store.settled
        self._version, self._tag = version, tag
        if self._fresh:
            self._show_first()
        else:
            self.view.apply(version, tag, changes)
        self._take(self._rejections.on_new_version())
        return sum(len(c.upserts) + len(c.removals) for c in changes.values())

    def _show_first(self) -> None:
        """Proxies have something from before: they are shown nothing of a Gateway until its extension servers have been asked, and
        each that has to see everything was heard once."""
        if not self._store.asks() and not self._store.unheard():
            self._fresh = False
            self.view.replace(self._version, self._tag, self._store.everything())

    def asks(self) -> frozenset[Ask]:
        """Questions to extension servers that nobody has answered."""
        return self._store.asks()

    def asking(self, ask: Ask) -> bool:
        """Whether an answer is still of use, given already or not."""
        return self._store.asking(ask)

    def wanted(self) -> frozenset[Slot]:
        """What servers are asked about, answered or not."""
        return self._store.wanted()

    def renew(self) -> None:
        """Another replica asks extension servers, about the latest state."""
        self._store.renew()

    def request_of(self, ask: Ask) -> bytes:
        """What an open question sends."""
        return self._store.request_of(ask)

    def answer(self, answers: Mapping[Ask, Answer]) -> bool:
        """Takes answers of extension servers; whether proxies get to see something different."""
        changes = self._store.answer(answers)
        self.rendered |= self._store.settled
        if self._fresh:
            self._show_first()
            return not self._fresh
        return self._take(changes)

    @property
    def credentials(self) -> tuple[ExtensionServer, ...]:
        """With what extension servers are spoken to."""
        shard = self._store.shard(GATEWAY)
        return shard.extension_servers if isinstance(shard, GatewayShard) else ()

    def moved_limits(self) -> Mapping[Counter, bytes | None]:
        """What is counted for all proxies and changed since this was last asked for."""
        return self._store.moved_limits()

    def remove(self) -> None:
        """The Gateway is gone; its proxies keep what they have."""
        self.view.whole = False
        self.faults = {}
        self._reset()

    def join(self, node: str, *, delta: bool) -> Stream:
        """A new stream of that node."""
        stream = Stream(self.view, delta=delta, limits=self._limits)
        self.streams[stream] = node
        return stream

    def leave(self, stream: Stream) -> None:
        self.streams.pop(stream, None)

    def observe(self, outcomes: list[Outcome]) -> bool:
        """Learns from what a client took or refused; True if that changed resources, or what there is to report."""
        moved = False
        for outcome in outcomes:
            if isinstance(outcome, PutOff):
                # whatever holds its address, its content is not to blame
                self._take(self._rejections.accepted({outcome.need: outcome.content}))
                moved = True
            elif isinstance(outcome, Accepted):
                moved |= self._take(self._rejections.accepted(outcome.resources)) or outcome.healed
            else:
                moved |= self._take(self._rejections.rejected(outcome.need, outcome.content, outcome.detail))
        return moved

    def settle(self, stream: Stream) -> None:
        """After a poll: what a client has acknowledged as a whole is what quarantine falls back to."""
        if self.view.whole and stream.acked_seq == self.view.seq and not self._rejections.searching:
            self._store.accept()

    def _take(self, changes: ResourceChanges) -> bool:
        if not changes or self._fresh:
            return False
        self.view.apply(self.view.version, self.view.tag, changes)
        return True

    def status(self) -> XdsStatus:
        """What this replica serves for the Gateway, and to whom."""
        proxies: dict[str, int] = {}
        waiting: dict[Need, str] = {}
        for stream, node in self.streams.items():
            waiting |= stream.waiting
            # a node that just connected anew has two streams for a moment
            proxies[node] = max(stream.acked_version, proxies.get(node, 0))
        rejections = self._rejections.report(waiting)
        return XdsStatus(
            version=self.view.version if self.view.whole else 0,
            proxies=proxies,
            rejections=rejections,
            patches=self._store.patch_reports,
            extensions=self._troubles(rejections),
        )

    def _troubles(self, rejections: tuple[Rejection, ...]) -> dict[str, ExtensionReport]:
        """What is wrong with extension servers: no answers, and answers that Envoy refuses."""
        found = dict(self.faults)
        for each in rejections:
            server = self._store.maker((each.type_url, each.resource))
            if server and not each.objects:
                before = found.get(server, ExtensionReport())
                fault = f"{TRANSLATION} {each.resource}: refused by Envoy: {each.detail}"
                found[server] = ExtensionReport(faults=(*before.faults, fault), fail_open=before.fail_open)
        return found
