"""Keeps what is made of objects up to date, and says loudly what is left out: a log line, a counter, a condition."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import structlog

from examples.ai_gateway import metrics
from examples.ai_gateway.compiling import At, Compiled, Missing, Raw, compiled
from examples.ai_gateway.exchange import Credentials
from examples.ai_gateway.objects import Source
from examples.ai_gateway.selection import Selector
from shared.kube.client import Refused, Unreachable, retrying_pause

log = structlog.get_logger("ai-gateway")


class Controller:
    def __init__(self, source: Source, selector: Selector) -> None:
        self._source = source
        self._selector = selector
        self._missing: frozenset[Missing] = frozenset()
        self._credentials: Credentials = {}
        self._last: Compiled | None = None

    @property
    def credentials(self) -> Credentials:
        """Backends' keys, as they are now."""
        return self._credentials

    async def run(self) -> None:
        """Until cancelled."""
        async for objects in self._source.states():
            self._credentials = secrets(objects)
            made = compiled(objects, self._selector)
            self._tell(made)
            if made != self._last:
                await self._put(made)
                self._last = made
                log.info("routes made", routes=sum(o["kind"] == "HTTPRoute" for o in made.objects), left_out=len(made.missing))

    async def _put(self, made: Compiled) -> None:
        """Again and again until it is done; what comes meanwhile is looked at after it."""
        attempt = 0
        while True:
            try:
                return await self._source.put(made)
            except (Refused, Unreachable, OSError) as e:
                log.warning("what was made cannot be put", error=str(e))
                await retrying_pause(attempt)
                attempt += 1

    def _tell(self, made: Compiled) -> None:
        now = frozenset(made.missing)
        for each in sorted(now - self._missing):
            text = "listener left out"
            log.warning(
                text, kind=each.kind, object=each.object, listener=each.listener or "all", route=each.route, reason=each.why.reason,
                message=each.why.message,
            )  # fmt: skip
            metrics.LEFT_OUT.labels(each.kind, each.object, each.listener, each.why.reason).inc()
        for each in self._missing - now:
            log.info(
                "listener not left out any more", kind=each.kind, object=each.object, listener=each.listener or "all", route=each.route
            )
            metrics.LEFT_OUT_NOW.remove(each.kind, each.object, each.listener, each.route, each.why.reason)
        for each in now:
            metrics.LEFT_OUT_NOW.labels(each.kind, each.object, each.listener, each.route, each.why.reason).set(1)
        self._missing = now
        metrics.INVALID.clear()
        for (kind, namespace, name), status in made.statuses.items():
            for condition in status["conditions"]:
                if condition["status"] == "False":
                    metrics.INVALID.labels(kind, f"{namespace}/{name}").set(1)


def secrets(objects: Mapping[At, Raw]) -> Credentials:
    """Keys that AIBackends name, by namespace, Secret and key; of other Secrets nothing is kept."""
    named = set()
    for (kind, namespace, _), raw in objects.items():
        of = ((raw.get("spec") or {}).get("credentials") or {}).get("secretRef") or {} if kind == "AIBackend" else {}
        if of.get("name"):
            named.add((namespace, of["name"], of.get("key", "apiKey")))
    found: dict[tuple[str, str, str], str] = {}
    for namespace, name, key in named:
        secret = objects.get(("Secret", namespace, name)) or {}
        plain = (secret.get("stringData") or {}).get(key)
        if plain is None:
            try:
                plain = base64.b64decode((secret.get("data") or {}).get(key) or "", validate=True).decode()
            except (binascii.Error, ValueError):
                continue
        if plain.strip():
            found[namespace, name, key] = plain.strip()
    return found
