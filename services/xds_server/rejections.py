"""Who is to blame when Envoy refuses a resource: the shards that changed in it are tried in halves until the guilty ones are found.

A trial holds suspects in quarantine (the store puts in what was accepted before, or 500s) and looks whether Envoy takes the rest.
Pure: outcomes go in, changed resources come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.xds_server.render.types import ENDPOINT, LISTENER, ROUTE, Need
from services.xds_server.resources import ResourceChanges, merged
from services.xds_server.store import GatewayStore
from shared.core import names
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener
from shared.ir.shards import GATEWAY
from shared.ir.status import Rejection
from shared.ir.tcp import TcpListener
from shared.ir.udp import UdpListener

_GROUPS = {
    "HTTPRoute": "gateway.networking.k8s.io",
    **dict.fromkeys(("TLSRoute", "TCPRoute", "UDPRoute"), "gateway.networking.k8s.io"),
    "GRPCRoute": "gateway.networking.k8s.io",
    "Gateway": "gateway.networking.k8s.io",
    "ListenerSet": "gateway.networking.k8s.io",
    "Backend": "gateway.envoyproxy.io",
    **dict.fromkeys(
        ("BackendTrafficPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy"),
        "gateway.envoyproxy.io",
    ),
    "ServiceImport": "multicluster.x-k8s.io",
    "Service": "",
}


class Trial(NamedTuple):
    """Suspects in groups that are still to be tried (the first one is free now), those found guilty and those found innocent."""

    need: Need
    detail: str
    groups: tuple[tuple[str, ...], ...]
    guilty: tuple[str, ...]
    proving: bool
    """Whether all suspects are held, to see that they are the cause at all."""
    bare: bool = False
    """Whether held suspects have no stand-in: tried when the stand-ins are refused too."""
    others: tuple[tuple[str, ...], ...] = ()
    """Suspects to turn to if these are not the cause."""


class Rejections:
    """The search for guilty shards in one Gateway, one refused resource at a time."""

    def __init__(self, store: GatewayStore, gateway: str = "") -> None:
        self._store = store
        self._gateway = gateway
        self._guilty: dict[str, tuple[Need, str]] = {}
        self._bare: set[str] = set()
        self._blameless: dict[Need, tuple[str, str]] = {}
        self._accepted: dict[Need, str] = {}
        self._refused: set[tuple[Need, str]] = set()
        self._trial: Trial | None = None

    def on_new_version(self) -> ResourceChanges:
        """Shards changed: what was tried is tried anew if it is refused again; quarantine ends for what is new."""
        self._guilty = {k: v for k, v in self._guilty.items() if k in self._store.quarantined}
        self._bare &= self._guilty.keys()
        self._blameless = {}
        self._refused = set()
        if len(self._accepted) > 2 * len(self._store) + 100:
            self._accepted = {n: c for n, c in self._accepted.items() if self._store.content(n) is not None}
        self._trial = None
        return self._store.quarantine(self._guilty, bare=self._bare)

    def accepted(self, resources: dict[Need, str]) -> ResourceChanges:
        """A client took these resources with these contents."""
        self._accepted |= resources
        trial = self._trial
        if trial is None or trial.need not in resources or resources[trial.need] != self._store.content(trial.need):
            return {}
        return self._passed(trial)

    def rejected(self, need: Need, content: str, detail: str) -> ResourceChanges:
        """A client refused this resource with this content."""
        if content != self._store.content(need):
            return {}
        self._refused.add((need, content))
        trial = self._trial
        if trial is None:
            suspects = self._store.suspects_of(need)
            if not suspects:
                self._blameless[need] = (content, detail)
                return {}
            return self._go(Trial(need, detail, suspects[:1], (), proving=True, others=suspects[1:]))
        if trial.need != need:
            return {}
        return self._failed(trial)

    def _held(self, trial: Trial) -> set[str]:
        waiting = trial.groups if trial.proving else trial.groups[1:]
        return {k for group in waiting for k in group} | set(trial.guilty) | set(self._guilty)

    def _go(self, trial: Trial) -> ResourceChanges:
        """Starts the next step; steps whose outcome is known already are passed over."""
        if not trial.groups:
            return self._end(trial)
        self._trial = trial
        held = self._held(trial)
        changes = self._store.quarantine(held, bare=(held - self._guilty.keys()) | self._bare if trial.bare else self._bare)
        content = self._store.content(trial.need)
        if content is None or self._accepted.get(trial.need) == content:
            return merged(changes, self._passed(trial))
        if (trial.need, content) in self._refused:
            # no proxy is asked the same twice
            return merged(changes, self._failed(trial))
        return changes

    def _passed(self, trial: Trial) -> ResourceChanges:
        if trial.proving and len(trial.groups[0]) == 1:
            # one suspect, and it was refused before: no need to try it again
            return self._end(trial._replace(groups=(), guilty=trial.groups[0]))
        if trial.proving:
            return self._go(trial._replace(groups=_halves(trial.groups[0]), proving=False))
        return self._go(trial._replace(groups=trial.groups[1:]))

    def _failed(self, trial: Trial) -> ResourceChanges:
        if trial.proving and not trial.bare:
            return self._go(trial._replace(bare=True))
        if trial.proving and trial.others:
            wider = trial.groups[0] + trial.others[0]
            return self._go(trial._replace(groups=(wider,), bare=False, others=trial.others[1:]))
        if trial.proving:
            # it is refused without any of them: nobody to blame, and nothing to be gained by holding them
            self._blameless[trial.need] = (self._store.content(trial.need) or "", trial.detail)
            self._trial = None
            return self._store.quarantine(self._guilty, bare=self._bare)
        first, rest = trial.groups[0], trial.groups[1:]
        if len(first) == 1:
            return self._go(trial._replace(groups=rest, guilty=(*trial.guilty, *first)))
        return self._go(trial._replace(groups=(*_halves(first), *rest)))

    def _end(self, trial: Trial) -> ResourceChanges:
        self._trial = None
        self._guilty |= dict.fromkeys(trial.guilty, (trial.need, trial.detail))
        if trial.bare:
            self._bare.update(trial.guilty)
        return self._store.quarantine(self._guilty, bare=self._bare)

    @property
    def searching(self) -> bool:
        return self._trial is not None

    def report(self, waiting: Mapping[Need, str] | None = None) -> tuple[Rejection, ...]:
        """What was refused, by Envoy (`waiting`: for now) or while rendering, and the objects that caused it."""
        out = [
            Rejection(type_url=need[0], resource=need[1], detail=detail, objects=self._objects(key))
            for key, (need, detail) in sorted(self._guilty.items())
        ]
        out += [Rejection(type_url=n[0], resource=n[1], detail=d) for n, (_, d) in sorted(self._blameless.items())]
        for need, detail in sorted((waiting or {}).items()):
            about = dict.fromkeys(o for key in self._store.listeners_of(need) for o in self._objects(key))
            out.append(Rejection(type_url=need[0], resource=need[1], detail=detail, objects=tuple(about)))
        for key, texts in sorted(self._store.problems.items()):
            kind = ROUTE if key.startswith("http.") else ENDPOINT if key.startswith("endpoints.") else LISTENER
            out += [Rejection(type_url=kind, resource=key, detail=text, objects=self._objects(key)) for text in texts]
        return tuple(out)

    def _objects(self, key: str) -> tuple[str, ...]:
        shard = self._store.shard(key)
        tokens = [names.unescape(t) for t in key.split(".")]
        if tokens[0] in ("http", "tcp", "udp") and len(tokens) == 5:
            return (_object(*tokens[2:5]),)
        if isinstance(shard, HttpListener | TcpListener | UdpListener) and shard.metadata is not None:
            about = _object(shard.metadata.kind, shard.metadata.namespace, shard.metadata.name)
            if isinstance(shard, UdpListener) or not shard.client_policy:
                return (about,)
            return (about, _object("ClientTrafficPolicy", *shard.client_policy.split("/", 1)))
        if isinstance(shard, GatewayShard) or key == GATEWAY:
            return (_object("Gateway", *self._gateway.split("/", 1)),) if "/" in self._gateway else ()
        if tokens[0] == "extension":
            return ("/".join(tokens[1:5]),)
        return (_object(*tokens[1:4]),) if (tokens[0], len(tokens)) in (("endpoints", 5), ("policy", 4), ("policy", 6)) else ()


def _object(kind: str, namespace: str, name: str) -> str:
    return f"{_GROUPS.get(kind, '')}/{kind}/{namespace}/{name}"


def _halves(group: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    middle = (len(group) + 1) // 2
    return tuple(h for h in (group[:middle], group[middle:]) if h)
