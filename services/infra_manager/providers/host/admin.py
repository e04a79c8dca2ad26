"""The few questions that the supervisor asks an Envoy's admin interface."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=2)


class Admin:
    """Finds the interface through the file that Envoy writes its address to. Every answer may be missing: Envoy starts, or hangs."""

    def __init__(self, address_file: Path) -> None:
        self._address_file = address_file
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @property
    def url(self) -> str:
        """'' until Envoy has written it."""
        try:
            address = self._address_file.read_text().strip()
        except OSError:
            return ""
        return f"http://{address}" if address else ""

    async def ready(self) -> bool:
        """All its first configuration has come."""
        return await self._ask("GET", "/ready") is not None

    async def bound_ports(self) -> frozenset[tuple[int, str]] | None:
        """(port, tcp or udp) of the listeners that are active; None if it does not answer."""
        text = await self._ask("GET", "/listeners?format=json")
        if text is None:
            return None
        found: set[tuple[int, str]] = set()
        for status in _json(text).get("listener_statuses", ()):
            for address in (status.get("local_address"), *(a for a in status.get("additional_local_addresses", ()))):
                socket = (address or {}).get("socket_address") or {}
                if "port_value" in socket:
                    found.add((socket["port_value"], "udp" if socket.get("protocol") == "UDP" else "tcp"))
        return frozenset(found)

    async def drain(self) -> bool:
        """Asks clients to leave (failing health checks, `Connection: close`) and closes the listening sockets at once, so that new
        connections go to whoever else listens there; whether Envoy heard it."""
        await self._ask("POST", "/healthcheck/fail")
        return await self._ask("POST", "/drain_listeners") is not None

    async def connections(self) -> int:
        """Open downstream connections, without those to the admin interface; 0 if it does not answer."""
        text = await self._ask("GET", "/stats?filter=^listener\\..*downstream_cx_active$&format=json")
        if text is None:
            return 0
        stats = _json(text).get("stats", ())
        return sum(s.get("value", 0) for s in stats if not s.get("name", "").startswith("listener.admin."))

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str) -> str | None:
        url = self.url
        if not url or self._closed:
            return None
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        try:
            async with self._session.request(method, url + path) as answer:
                text = await answer.text()
                return text if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError):
            return None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
