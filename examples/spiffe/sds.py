"""A plain server of secrets (SDS), for where there is no SPIRE agent: it gives who asks what it was told, and tells when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc

from shared.xds.message import TYPE_PREFIX, Fields, decode, encode, pack

_SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"
_SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
_REQUEST, _RESPONSE = (f"envoy.service.discovery.v3.Discovery{kind}" for kind in ("Request", "Response"))


class SecretServer:
    """`async with SecretServer(socket) as server: server.certificate(name, …)`. Whoever reaches the socket gets what it asks for."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._secrets: dict[str, tuple[int, Fields]] = {}
        self._version = 0
        self._waiting: set[asyncio.Event] = set()
        self._server = grpc.aio.server()
        methods = {"StreamSecrets": grpc.stream_stream_rpc_method_handler(self._stream)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))

    async def __aenter__(self) -> SecretServer:
        self._server.add_insecure_port(f"unix:{self._socket}")
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    def certificate(self, name: str, certificate: str, key: str) -> None:
        """PEM."""
        self._put(name, {"tls_certificate": {"certificate_chain": {"inline_string": certificate}, "private_key": {"inline_string": key}}})

    def authorities(self, name: str, bundle: str) -> None:
        """PEM."""
        self._put(name, {"validation_context": {"trusted_ca": {"inline_string": bundle}}})

    def _put(self, name: str, fields: Fields) -> None:
        self._version += 1
        self._secrets[name] = (self._version, pack(_SECRET, {"name": name} | fields))
        for event in self._waiting:
            event.set()

    async def _stream(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        """A reader notes the names; here is told what of them is new, or was changed."""
        names: set[str] = set()
        due, sent = asyncio.Event(), dict[str, int]()
        self._waiting.add(due)
        reading = asyncio.create_task(_read(requests, names, due))
        try:
            while not reading.done():
                await due.wait()
                due.clear()
                found = {n: self._secrets[n] for n in sorted(names & self._secrets.keys()) if sent.get(n) != self._secrets[n][0]}
                if found:
                    sent |= {n: version for n, (version, _) in found.items()}
                    version = str(max(sent.values()))
                    resources = [secret for _, secret in found.values()]
                    yield encode(
                        _RESPONSE, {"version_info": version, "nonce": version, "type_url": TYPE_PREFIX + _SECRET, "resources": resources}
                    )
        finally:
            reading.cancel()
            self._waiting.discard(due)


async def _read(requests: AsyncIterator[bytes], names: set[str], due: asyncio.Event) -> None:
    try:
        async for each in requests:
            names |= set(decode(_REQUEST, each).resource_names)
            due.set()
    finally:
        due.set()
