"""All that is counted for all proxies of all Gateways, as the rate limit service takes it: a configuration for each domain. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.xds_server.render.types import digest, framed
from shared.core.refs import GatewayRef
from shared.xds.message import TYPE_PREFIX, encode

CONFIG_MESSAGE = "ratelimit.config.ratelimit.v3.RateLimitConfig"
CONFIG = TYPE_PREFIX + CONFIG_MESSAGE
_DESCRIPTORS_FIELD = 3


class Counter(NamedTuple):
    """What is counted under one name: a route's requests in its listener's domain, or those of a shared rule in its policy's."""

    domain: str
    name: str


class Board:
    """Counters by Gateway. Nothing is shown before every Gateway is whole: a limit that is not known yet must not read as none."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[str, dict[GatewayRef, bytes]]] = {}
        self._of: dict[GatewayRef, set[Counter]] = {}
        self._configs: dict[str, bytes] = {}
        self._whole = False
        self.seq = 0
        """Grows with every change of what is shown."""

    @property
    def version(self) -> str:
        """Of the content alone, so that replicas and restarts agree on it."""
        return f"{sum(digest(body) for body in self._configs.values()) % (1 << 128):032x}"

    @property
    def configs(self) -> tuple[bytes, ...] | None:
        """A RateLimitConfig for each domain, serialised; None while not every Gateway is known."""
        return tuple(self._configs[d] for d in sorted(self._configs)) if self._whole else None

    def complete(self) -> bool:
        """Every Gateway that there is has been taken; whether that is news."""
        news, self._whole = not self._whole, True
        self.seq += news
        return news

    def apply(self, gateway: GatewayRef, changed: Mapping[Counter, bytes | None]) -> bool:
        """A Gateway's counters that changed (None: gone); whether what is shown changed."""
        if not changed:
            return False
        own = self._of.setdefault(gateway, set())
        for counter, data in changed.items():
            at = self._counters.setdefault(counter.domain, {}).setdefault(counter.name, {})
            if data is None:
                at.pop(gateway, None)
                own.discard(counter)
            else:
                at[gateway] = data
                own.add(counter)
        before = {domain: self._configs.get(domain) for domain in {c.domain for c in changed}}
        for domain in before:
            self._render(domain)
        moved = any(self._configs.get(domain) != body for domain, body in before.items())
        self.seq += moved
        return moved

    def remove(self, gateway: GatewayRef) -> bool:
        return self.apply(gateway, dict.fromkeys(self._of.pop(gateway, ())))

    def _render(self, domain: str) -> None:
        names = {name: at for name, at in self._counters[domain].items() if at}
        if not names:
            del self._counters[domain]
            self._configs.pop(domain, None)
            return
        self._counters[domain] = names
        head = encode(CONFIG_MESSAGE, {"name": domain, "domain": domain})
        parts = (framed(_DESCRIPTORS_FIELD, at[min(at)]) for _, at in sorted(names.items()))
        self._configs[domain] = b"".join((head, *parts))
