"""The protocol with one client, as a state machine: requests and time go in, responses and outcomes come out. No I/O.

At most one response a type is in flight, so an answer always belongs to what was sent last. Make before break: what others need is
added first (clusters, endpoints, secrets; then listeners; then routes), each when the client has acknowledged the one before;
removals follow when all additions are acknowledged (a listener goes with the one that may take its address). No wait is
longer than a limit. What a client takes long to take it is given a rest from: in a stream of changes it has as much time for its
requests as for its configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.xds_server.ads import addresses
from services.xds_server.ads.messages import Request, Response
from services.xds_server.ads.outcomes import Accepted, Outcome, PutOff, Rejected
from services.xds_server.ads.subscription import InFlight, Subscription, time_heals
from services.xds_server.ads.view import View, content_of, ir_version_of
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Need, digest
from services.xds_server.resources import Resource

# added in this order; a type waits until the client has those it names
ADD_AFTER: Mapping[str, tuple[str, ...]] = {
    CLUSTER: (),
    ENDPOINT: (),
    SECRET: (),
    LISTENER: (CLUSTER, ENDPOINT),
    ROUTE: (CLUSTER, ENDPOINT, LISTENER),
}
# removed in this order; a type waits until those it names are removed
REMOVE_AFTER: Mapping[str, tuple[str, ...]] = {
    LISTENER: (),
    ROUTE: (LISTENER,),
    CLUSTER: (LISTENER, ROUTE),
    ENDPOINT: (CLUSTER,),
    SECRET: (CLUSTER, LISTENER),
}
ORDER = (CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE)
# nothing needs a listener, but the one that goes may hold the address of the one that comes: both in one response
REMOVED_AT_ONCE = (LISTENER,)
# what Envoy asks for again when the resource that needs it is re-created, without saying so on the wire
SAID_AGAIN = (ENDPOINT, SECRET)


class Limits(NamedTuple):
    """Longest waits, seconds: for an acknowledgement before the next stage, and of a replica for the version a client already has."""

    stage: float = 3.0
    behind: float = 5.0


class Stream:
    """One client's stream on one Gateway's view."""

    def __init__(self, view: View, *, delta: bool, limits: Limits | None = None) -> None:
        self._view = view
        self._delta = delta
        self._limits = limits or Limits()
        self._subs: dict[str, Subscription] = {}
        self._awaited: set[Need] = set()
        self._nonce = 0
        self._least_version = 0
        self._waits: dict[str, float] = {}
        self._until: float | None = None
        self._now = 0.0
        self.acked_version = 0
        self.acked_seq = 0

    # what the client says

    def on_request(self, request: Request) -> list[Outcome]:
        """Takes a message of the client; what it acknowledged or refused comes back."""
        sub = self._subs.get(request.type_url)
        if sub is None:
            sub = self._subs[request.type_url] = Subscription(request.type_url, self._delta)
        if not self._delta:
            return self._sotw_request(sub, request)
        if not sub.begun:
            sub.assume(request.initial)
            versions = [ir_version_of(v, self._view.tag) for _, v in request.initial]
            self._least_version = max([self._least_version, *versions])
        outcomes = self._answer(sub, request)
        if request.subscribe or request.unsubscribe or not sub.begun:
            sub.subscribe(request.subscribe, request.unsubscribe, self._view)
        return outcomes

    def _sotw_request(self, sub: Subscription, request: Request) -> list[Outcome]:
        if request.nonce and request.nonce != sub.nonce:
            return []
        outcomes = self._answer(sub, request)
        first = not sub.begun
        sub.replace_names(request.names, self._view)
        if first and request.version:
            self._least_version = max(self._least_version, ir_version_of(request.version, self._view.tag))
            if content_of(request.version) == _content(sub.upserts.values()):
                sub.known |= sub.upserts
                sub.upserts = {}
                sub.answered = True
        return outcomes

    def _answer(self, sub: Subscription, request: Request) -> list[Outcome]:
        flight = sub.in_flight
        if flight is None or request.nonce != flight.nonce:
            return []
        sub.in_flight = None
        if request.error is None:
            healed = False
            for name, resource in flight.sent.items():
                if sub.rejected.get(name) != content_of(resource.version):
                    sub.rejected.pop(name, None)
                healed |= sub.later.pop(name, None) is not None
                self._awaited.discard((sub.type_url, name))
            return [Accepted({(sub.type_url, n): content_of(r.version) for n, r in flight.sent.items()}, healed)]
        sub.sent_at = None
        for name, before in flight.before.items():
            if before is None:
                sub.known.pop(name, None)
            else:
                sub.known[name] = before
        if sub.type_url in REMOVED_AT_ONCE:
            sub.removals |= {n for n in flight.removed if n in sub.known}
        self._awaited -= {n for r in flight.sent.values() for n in r.needs}
        if len(flight.sent) > 1:
            # which of them it was is found out by sending halves
            names = sorted(flight.sent)
            middle = len(names) // 2
            sub.retry.extendleft((tuple(names[middle:]), tuple(names[:middle])))
            return []
        out: list[Outcome] = []
        for name, resource in flight.sent.items():
            content = content_of(resource.version)
            if time_heals(sub.type_url, request.error):
                sub.put_off(name, content, request.error)
                out.append(PutOff((sub.type_url, name), content))
                continue
            sub.rejected[name] = content
            sub.upserts.pop(name, None)
            out.append(Rejected((sub.type_url, name), content, request.error))
        return out

    # what is to be said

    def poll(self, now: float) -> list[Response]:
        """All that can be sent now. Call it again after each request, each change of the view, and at `until`."""
        self._until, self._now = None, now
        if not self._view.whole or self._is_behind(now):
            return []
        for sub in self._subs.values():
            sub.rest_after_answer(now)
            sub.absorb(self._view)
            due = sub.due(now, self._view)
            if due is not None:
                self._until = due if self._until is None else min(self._until, due)
        out: list[Response] = []
        for type_url in (*ORDER, *sorted(set(self._subs) - set(ORDER))):
            wanted = self._subs.get(type_url)
            if wanted is None or wanted.in_flight is not None or not wanted.begun:
                continue
            response = self._next(wanted, now)
            if response is not None:
                out.append(response)
        if not self._waits and all(s.settled and not s.removals for s in self._subs.values()) and not self._behind_rejections():
            self.acked_version = self._view.version
            self.acked_seq = self._view.seq
        return out

    @property
    def until(self) -> float | None:
        """When waiting for something ends, by the clock given to `poll`; None where nothing is waited for."""
        return self._until

    @property
    def waiting(self) -> dict[Need, str]:
        """What the client could not take yet, and what it said."""
        return {(t, name): each.detail for t, sub in self._subs.items() for name, each in sub.later.items()}

    def _is_behind(self, now: float) -> bool:
        if self._view.version >= self._least_version:
            self._waits.pop("behind", None)
            return False
        if self._still_waits("behind", now, self._limits.behind):
            return True
        self._least_version = 0
        self._waits.pop("behind", None)
        return False

    def _behind_rejections(self) -> bool:
        return any(s.rejected for s in self._subs.values())

    def _still_waits(self, what: str, now: float, limit: float) -> bool:
        end = self._waits.setdefault(what, now + limit)
        if now >= end:
            return False
        self._until = end if self._until is None else min(self._until, end)
        return True

    def _gate(self, what: str, is_open: bool, now: float) -> bool:
        """Whether a stage may go on: it is open, or its time is up."""
        if is_open:
            self._waits.pop(what, None)
            return True
        return not self._still_waits(what, now, self._limits.stage)

    def _settled(self, types: Iterable[str]) -> bool:
        return all(t not in self._subs or self._subs[t].settled for t in types)

    def _next(self, sub: Subscription, now: float) -> Response | None:
        if sub.missing and self._delta:
            return self._send(sub, {}, tuple(sorted(sub.missing)))
        while sub.retry:
            found = {n: r for n in sub.retry.popleft() if (r := self._view.get(sub.type_url, n)) is not None and sub.wants(n)}
            found = {n: r for n, r in found.items() if sub.rejected.get(n) != content_of(r.version)}
            if found:
                return self._send(sub, found, self._at_once(sub))
        if sub.upserts and now < sub.rest_until:
            self._until = sub.rest_until if self._until is None else min(self._until, sub.rest_until)
            return None
        if sub.upserts:
            after = ADD_AFTER.get(sub.type_url, ())
            awaited = bool(after) and bool(self._awaited)
            if not self._gate(f"add {sub.type_url}", self._settled(after) and not awaited, now):
                return None
            if awaited:
                self._awaited.clear()
            now_set, first_gone = addresses.next_step(sub.upserts, sub.known)
            return self._send(sub, now_set, first_gone or self._at_once(sub))
        self._waits.pop(f"add {sub.type_url}", None)
        if sub.removals:
            return self._remove(sub, now)
        self._waits.pop(f"remove {sub.type_url}", None)
        if not sub.answered and (sub.wildcard or not self._delta) and not sub.known:
            # a client that starts waits for its first answer, be it empty
            return self._send(sub, {})
        return None

    def _at_once(self, sub: Subscription) -> tuple[str, ...]:
        return tuple(sorted(sub.removals)) if sub.type_url in REMOVED_AT_ONCE else ()

    def _remove(self, sub: Subscription, now: float) -> Response | None:
        # what a client refused still stands there with what it needs
        if self._behind_rejections():
            self._waits.pop(f"remove {sub.type_url}", None)
            return None
        waiting = [self._subs[t] for t in REMOVE_AFTER.get(sub.type_url, ()) if t in self._subs]
        clear = self._settled(ORDER) and not any(s.removals or s.in_flight for s in waiting)
        if not self._gate(f"remove {sub.type_url}", clear, now):
            return None
        return self._send(sub, {}, tuple(sorted(sub.removals)))

    def _send(self, sub: Subscription, upserts: dict[str, Resource], removed: tuple[str, ...] = ()) -> Response:
        self._nonce += 1
        nonce = str(self._nonce)
        before = {n: sub.known.get(n) for n in (*upserts, *removed)}
        for name in removed:
            sub.known.pop(name, None)
            sub.removals.discard(name)
            sub.missing.discard(name)
        for name, resource in upserts.items():
            sub.known[name] = resource
            sub.upserts.pop(name, None)
            self._follow_up(resource, before[name])
        sub.in_flight = InFlight(nonce, upserts, before, removed)
        sub.sent_at = self._now
        sub.nonce, sub.answered = nonce, True
        if self._delta:
            return Response(sub.type_url, nonce, str(self._view.version), tuple(upserts.values()), removed)
        everything = [sub.known[n] for n in sorted(sub.known)]
        version = f"{self._view.version}.{self._view.tag}-{_content(everything)}"
        return Response(sub.type_url, nonce, version, tuple(everything))

    def _follow_up(self, resource: Resource, before: Resource | None) -> None:
        """What a new or re-created resource makes the client ask for: awaited, or said again where it knows it."""
        for type_url, name in resource.needs:
            if type_url not in SAID_AGAIN:
                continue
            need = self._subs.get(type_url)
            if before is not None and need is not None and need.wants(name):
                need.resend(name, self._view)
            if type_url == ENDPOINT and self._view.get(type_url, name) is not None:
                self._awaited.add((type_url, name))


def _content(resources: Iterable[Resource]) -> str:
    """A version for a set of resources, from theirs."""
    return f"{sum(digest(f'{r.name} {content_of(r.version)}'.encode()) for r in resources) % (1 << 128):032x}"
