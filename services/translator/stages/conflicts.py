"""Listeners against each other: ports with two protocols, ports with one hostname twice, names that overlap under TLS.

Only listeners that are well formed in themselves take part, so that an invalid one cannot block a valid one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from services.translator.stages.conditions import Conditions
from services.translator.stages.hosts import wildcard_matches
from services.translator.stages.listeners import ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS, Checked
from shared.core.refs import ObjectRef


class Draft:
    """A listener while its conditions are being collected; it never leaves the query that builds it."""

    def __init__(self, source: Checked) -> None:
        self.source = source
        self.spec = source.spec
        self.conditions = Conditions(source.generation, source.conditions)
        self.protocol_conflict = False
        self.overlaps = False

    @property
    def name(self) -> str:
        return f"{self.source.owner.namespace}/{self.source.owner.name}/{self.spec.name}"

    @property
    def is_added(self) -> bool:
        """Whether it comes from a ListenerSet: a Gateway's own listeners go before such."""
        return self.source.owner != self.source.gateway

    def conflicted(self, reason: str, message: str) -> None:
        self.conditions.set(CONFLICTED, True, reason, message)

    def lost(self, reason: str, message: str) -> None:
        """Conflicted, with another listener in its place or none."""
        self.conflicted(reason, message)
        if self.is_added:
            self.conditions.set(ACCEPTED, False, reason, message)
            self.conditions.set(PROGRAMMED, False, reason, message)

    def broken(self) -> bool:
        """Whether the listener is known not to work by now."""
        refs = (
            self.conditions.status(RESOLVED_REFS) == "False" and self.conditions.reason(RESOLVED_REFS) != "PartiallyInvalidCertificateRef"
        )
        return refs or "False" in (self.conditions.status(PROGRAMMED), self.conditions.status(ACCEPTED))


def _family(protocol: str) -> str:
    return "https/tls" if protocol in ("HTTPS", "TLS") else protocol


def _by_port(drafts: Iterable[Draft]) -> Iterable[list[Draft]]:
    ports: dict[int, list[Draft]] = defaultdict(list)
    for draft in drafts:
        ports[draft.spec.port].append(draft)
    return ports.values()


def protocols(drafts: Sequence[Draft]) -> None:
    """All listeners of a port must speak compatible protocols; UDP goes with any.

    Among a Gateway's own nobody wins; they win over ListenerSets, of which the first wins unless it contradicts itself.
    """
    for group in _by_port(d for d in drafts if d.source.valid):
        tcp = [d for d in group if d.spec.protocol != "UDP"]
        if len({_family(d.spec.protocol) for d in tcp}) <= 1:
            continue
        names = ", ".join(sorted(d.name for d in tcp)[:10])
        text = f"All listeners for a given port must use a compatible protocol, conflicting listeners: {names}"
        kept = _kept_protocol(tcp)
        for draft in tcp:
            if _family(draft.spec.protocol) != kept or draft in _contradictory(tcp):
                draft.lost("ProtocolConflict", text)
                draft.protocol_conflict = True


def _contradictory(tcp: Sequence[Draft]) -> list[Draft]:
    """Listeners of ListenerSets that speak two protocols on the port, where no Gateway decides which is right."""
    if any(not d.is_added for d in tcp):
        return []
    spoken: dict[ObjectRef, set[str]] = defaultdict(set)
    for draft in tcp:
        spoken[draft.source.owner].add(_family(draft.spec.protocol))
    return [d for d in tcp if len(spoken[d.source.owner]) > 1]


def _kept_protocol(tcp: Sequence[Draft]) -> str | None:
    own = {_family(d.spec.protocol) for d in tcp if not d.is_added}
    if len(own) > 1:
        return None
    if own:
        return own.pop()
    bad = _contradictory(tcp)
    return next((_family(d.spec.protocol) for d in tcp if d not in bad), None)


def _kept_listener(clash: Sequence[Draft]) -> Draft | None:
    """Among a Gateway's own listeners nobody wins, else its only one, else the first of ListenerSets that name a host once."""
    own = [d for d in clash if not d.is_added]
    if own:
        return own[0] if len(own) == 1 else None
    owners = [d.source.owner for d in clash]
    return clash[0] if len(owners) == len(set(owners)) else None


def hostnames(drafts: Sequence[Draft]) -> None:
    """All listeners of a port must have different hostnames."""
    layer7 = (d for d in drafts if d.source.valid and not d.protocol_conflict and d.spec.protocol not in ("UDP", "TCP"))
    for group in _by_port(layer7):
        same: dict[str, list[Draft]] = defaultdict(list)
        for draft in group:
            same[draft.spec.hostname or ""].append(draft)
        for clash in same.values():
            if len(clash) < 2:
                continue
            names = ", ".join(sorted(d.name for d in clash)[:10])
            kept = _kept_listener(clash)
            for draft in clash:
                if draft is not kept:
                    draft.lost(
                        "HostnameConflict", f"All listeners for a given port must use a unique hostname, conflicting listeners: {names}"
                    )


def layer4(drafts: Sequence[Draft], protocol: str) -> None:
    """The first listener of a port keeps it."""
    for group in _by_port(d for d in drafts if d.source.valid and d.spec.protocol == protocol):
        for draft in group[1:]:
            draft.conflicted("ProtocolConflict", f"Only one {protocol} listener is allowed in a given port")


def merged(drafts: Sequence[Draft]) -> None:
    """In a fleet of merged Gateways port, protocol and hostname must be unique over all of them."""
    seen: set[tuple[str, str, int]] = set()
    for draft in drafts:
        if not draft.source.valid:
            continue
        key = (draft.spec.protocol, draft.spec.hostname or "", draft.spec.port)
        if key in seen:
            draft.conflicted("HostnameConflict", "Port, protocol and hostname tuple must be unique for every listener")
        seen.add(key)


def finish(draft: Draft) -> None:
    """The conditions that follow from those that are there."""
    c = draft.conditions
    if len(c) == 0:
        c.set(PROGRAMMED, True, "Programmed", "Sending translated listener configuration to the data plane")
        c.set(ACCEPTED, True, "Accepted", "Listener has been successfully translated")
        c.set(RESOLVED_REFS, True, "ResolvedRefs", "Listener references have been resolved")
        if draft.is_added:
            c.set(CONFLICTED, False, "NoConflicts", "No conflicts detected")
        return
    reason = c.reason(RESOLVED_REFS)
    if len(c) == 1 and reason in ("PartiallyInvalidCertificateRef", "InvalidCertificateRef"):
        c.set(ACCEPTED, True, "Accepted", "Listener has been successfully translated")
        if reason == "InvalidCertificateRef":
            c.set(PROGRAMMED, False, "Invalid", "Listener is invalid, see other Conditions for details.")
        else:
            c.set(PROGRAMMED, True, "Programmed", "Sending translated listener configuration to the data plane")
        return
    if PROGRAMMED not in c:
        c.set(PROGRAMMED, False, "Invalid", "Listener is invalid, see other Conditions for details.")
    if RESOLVED_REFS not in c:
        c.set(RESOLVED_REFS, True, "ResolvedRefs", "Listener references have been resolved")


def _overlap(a: str | None, b: str | None) -> bool:
    if a is None or b is None or a == b:
        return True
    return (a.startswith("*") and wildcard_matches(a, b)) or (b.startswith("*") and wildcard_matches(b, a))


def _pairs(drafts: Sequence[Draft]) -> Iterable[tuple[int, int]]:
    for i, a in enumerate(drafts):
        for j in range(i + 1, len(drafts)):
            if a.spec.port == drafts[j].spec.port:
                yield i, j


def _opaque(https: Sequence[Draft]) -> None:
    """Certificates that nobody here can read may serve any name of their listener."""
    for mine in https:
        port = [d for d in https if d.spec.port == mine.spec.port]
        names = mine.source.certificates.dns_names
        if len(port) > 1 and any(
            d is mine or d.spec.hostname is None or any(_overlap(d.spec.hostname, n) for n in names)
            for d in port
            if d.source.certificates.opaque
        ):
            text = (
                "Certificates that an SDS server keeps cannot be compared with those of other listeners of the port. Requests for a host "
                "of another listener that come over a connection to this one are answered 421"
            )
            mine.conditions.set("OverlappingTLSConfig", True, "SDSCertificateOpaque", text)
            mine.overlaps = True


def tls_overlaps(drafts: Sequence[Draft]) -> None:
    """HTTPS listeners of a port whose names or certificates overlap: a browser may reuse one's connection for the other.

    As reason overlapping certificates win over overlapping hostnames.
    """
    https = [d for d in drafts if d.spec.protocol == "HTTPS" and not d.broken()]
    _opaque(https)
    marked: set[int] = set()
    for i, j in _pairs(https):
        if i not in marked and j not in marked and _overlap(https[i].spec.hostname, https[j].spec.hostname):
            marked |= {i, j}
            for mine, other in ((https[i], https[j]), (https[j], https[i])):
                names = f"The hostname {mine.spec.hostname or ''} overlaps with the hostname {other.spec.hostname or ''}"
                mine.conditions.set("OverlappingTLSConfig", True, "OverlappingHostnames", f"{names} in listener {_other(mine, other)}.")
    marked = set()
    for i, j in _pairs(https):
        sans = [(a, b) for a in https[i].source.certificates.dns_names for b in https[j].source.certificates.dns_names if _overlap(a, b)]
        if i in marked or j in marked or not sans:
            continue
        marked |= {i, j}
        for (a, b), (mine, other) in ((sans[0], (https[i], https[j])), (sans[0][::-1], (https[j], https[i]))):
            text = (
                f"The certificate SAN {a} overlaps with the certificate SAN {b} in listener {_other(mine, other)}. Requests for a host of "
                "another listener that come over a connection to this one are answered 421"
            )
            mine.conditions.set("OverlappingTLSConfig", True, "OverlappingCertificates", text)
            mine.overlaps = True


def _other(mine: Draft, other: Draft) -> str:
    if mine.source.gateway == other.source.gateway:
        return other.spec.name
    return f"{other.spec.name} of gateway {other.source.gateway.name}"
