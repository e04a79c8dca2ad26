"""Wasm modules: fetched from where a policy says, kept in the object store, from which xds_server serves them.

asked {url | image, sha256?, ca?, pullSecret? (sealed), version?} -> {sha256 of the module, module: its name in the store}. A module is
fetched once; who wants it anew asks a new question (`version`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter

from services.resource_watcher.facts.answering import Unanswered
from services.resource_watcher.facts.fetching import fetch, session, trust
from services.resource_watcher.facts.registry import Registry, parse
from services.resource_watcher.facts.unpacking import MOST, NoModule, module
from shared.bus.blobs import Blobs
from shared.bus.errors import Unavailable
from shared.core.digest import digest
from shared.core.facts import Question
from shared.core.sealing import SealError

LOOKUPS = Counter("wasm_cache_lookup_total", "Looks for a module in the object store.", ["hit"])
FETCHES = Counter("wasm_remote_fetch_total", "Modules fetched, or not.", ["status", "reason"])
KIND = "wasm"
TIMEOUT = 120.0
"""Seconds for a module, with all that is asked on the way to it."""
_SCHEME = "oci://"


class Modules:
    """`open_secret` opens what is sealed. Raises SealError."""

    def __init__(self, blobs: Blobs, open_secret: Callable[[str], bytes]) -> None:
        self._blobs = blobs
        self._open = open_secret

    async def answer(self, asked: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
        """Raises Unanswered."""
        name = Question.of(KIND, asked).name
        try:
            hit = known is not None and await self._blobs.has(name)
            LOOKUPS.labels(str(hit).lower()).inc()
            if known is not None and hit:
                return known
            content = await (self._image(asked) if "image" in asked else _file(asked))
            await self._blobs.put(name, content)
        except Unavailable as e:
            raise Unanswered(str(e)) from e
        except Unanswered as e:
            FETCHES.labels("failure", e.reason).inc()
            raise
        FETCHES.labels("success", "").inc()
        return {"sha256": digest(content), "module": name}

    async def keep(self, names: frozenset[str]) -> None:
        """Forgets the modules of other questions."""
        await self._blobs.remove_all_but(names)

    async def _image(self, asked: dict[str, Any]) -> bytes:
        name = str(asked["image"])
        secret = asked.get("pullSecret")
        try:
            credentials = self._open(secret) if secret else None
        except SealError as e:
            raise Unanswered("the pull secret cannot be opened") from e
        async with session(TIMEOUT) as client:
            registry = Registry(client, parse(name.removeprefix(_SCHEME)), trust(asked.get("ca")), credentials)
            try:
                manifest, checksum = await registry.manifest()
            except Unanswered as e:
                raise Unanswered(str(e), "manifest_error") from e
            _check(asked, name, checksum)
            return await registry.module(manifest)


async def _file(asked: dict[str, Any]) -> bytes:
    url = str(asked.get("url", ""))
    if not url.startswith(("https://", "http://")):
        raise Unanswered(f"unsupported Wasm module downloading URL scheme: {url}")
    async with session(TIMEOUT) as client:
        found = await fetch(client, url, MOST, ssl=trust(asked.get("ca")))
    try:
        content = await asyncio.to_thread(module, found.body)
    except NoModule as e:
        raise Unanswered(f"{url}: {e}", "fetch_error") from e
    _check(asked, url, digest(content))
    return content


def _check(asked: dict[str, Any], name: str, checksum: str) -> None:
    wanted = asked.get("sha256")
    if wanted and wanted != checksum:
        raise Unanswered(f"module downloaded from {name} has checksum {checksum}, which does not match: {wanted}", "checksum_mismatched")
