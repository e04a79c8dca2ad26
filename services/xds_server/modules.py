"""Serves Wasm modules to proxies, as ASGI: `/<name>.wasm` is what the object store holds under that name.

A name follows from who asked for the module and how (pull secrets are part of it, sealed), so that nobody guesses another one's. Nothing is
kept here: a proxy fetches a module once.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from hypercorn.asyncio import serve as listen
from hypercorn.config import Config

from services.xds_server.settings import XdsSettings
from shared.bus.blobs import Blobs
from shared.bus.errors import Unavailable
from shared.bus.waiting import end

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Modules in memory: a fleet that starts asks with all its proxies together."""
RENEW_SECONDS = 30.0
_PATH = re.compile(r"/([0-9a-f]{32})\.wasm")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Modules:
    """The ASGI application."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            async with self._room:
                await _answer(send, *await self._found(scope["method"], scope["path"]))

    async def _found(self, method: str, path: str) -> tuple[HTTPStatus, bytes]:
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, b""
        match = _PATH.fullmatch(path)
        if match is None:
            return HTTPStatus.NOT_FOUND, b""
        try:
            content = await self._blobs.get(match[1])
        except Unavailable as e:
            log.warning("module_unavailable", module=match[1], error=str(e))
            return HTTPStatus.SERVICE_UNAVAILABLE, b""
        return (HTTPStatus.OK, content) if content is not None else (HTTPStatus.NOT_FOUND, b"")


async def _answer(send: Send, status: HTTPStatus, body: bytes) -> None:
    headers = [(b"content-type", b"application/wasm"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Listening(Config):
    """HTTP/2 and HTTP/1.1; where there are certificates, only with those who show one of ours. The files may change."""

    def __init__(self, fd: int, settings: XdsSettings) -> None:
        super().__init__()
        self.bind = [f"fd://{fd}"]
        self.errorlog = None
        self.include_server_header = False
        self.certfile, self.keyfile, self.ca_certs = settings.certificate, settings.private_key, settings.client_ca
        self.verify_mode = ssl.CERT_REQUIRED if self.ssl_enabled else None
        self._context: ssl.SSLContext | None = None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        self._context = super().create_ssl_context()
        return self._context

    async def renew(self) -> None:
        """Takes new files for the connections that come; until cancelled."""
        files = [Path(f) for f in (self.certfile, self.keyfile, self.ca_certs) if f is not None]
        seen = [f.stat().st_mtime_ns for f in files]
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                now = [f.stat().st_mtime_ns for f in files]
                if now != seen and self._context is not None and self.certfile is not None:
                    self._context.load_cert_chain(self.certfile, self.keyfile)
                    self._context.load_verify_locations(self.ca_certs)
                    seen = now
            except (OSError, ssl.SSLError) as e:
                log.warning("certificates_unreadable", error=str(e))


def _socket(address: str) -> socket.socket:
    """Replicas on one machine share a port, as they do for xDS."""
    host, _, port = address.rpartition(":")
    family, _, _, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(place)
    except OSError:
        made.close()
        raise
    return made


async def serve(blobs: Blobs, address: str, settings: XdsSettings, stop: asyncio.Event) -> None:
    """Until `stop`. OSError where the address cannot be had."""
    listening = _Listening(_socket(address).detach(), settings)
    renewing = asyncio.create_task(listening.renew())
    try:
        await listen(Modules(blobs), listening, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        await end(renewing)
