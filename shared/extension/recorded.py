"""Questions as `headgate tap hooks -o json` writes them down, and a client that asks them again: an extension server's tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import grpc

from shared.extension.protocol import METHODS, SERVICE
from shared.extension.server import LARGEST, Extension, handle
from shared.xds.extension_protocol import PACKAGE
from shared.xds.message import decode, from_json


class Recorded(NamedTuple):
    """A question: `request` is a PostRouteModifyRequest or one of its kin, `answer` what was answered then, in protobuf's JSON."""

    hook: str
    request: dict[str, Any]
    answer: dict[str, Any] | None = None

    @property
    def data(self) -> bytes:
        """The request as it is sent. Raises shared.xds.message.BadMessage."""
        made: bytes = from_json(f"{PACKAGE}.{METHODS[self.hook]}Request", self.request).SerializeToString(deterministic=True)
        return made


def read(lines: Iterable[str]) -> Iterator[Recorded]:
    """From JSON lines; those without a request (a server that failed, something deleted) are left out."""
    for line in lines:
        value = (json.loads(line) if line.strip() else {}).get("value") or {}
        if value.get("request") is not None:
            yield Recorded(value["hook"], value["request"], value.get("answer"))


async def replay(extension: Extension, recorded: Recorded) -> Any:
    """The answer (PostRouteModifyResponse …) without a network. Raises what the hook raises."""
    return decode(f"{PACKAGE}.{METHODS[recorded.hook]}Response", await handle(extension, recorded.hook, recorded.data))


class ExtensionClient:
    """`async with ExtensionClient("127.0.0.1:5005") as client: await client.ask(recorded)`: the same over a connection.

    `credentials` for a server with TLS: grpc.ssl_channel_credentials(authority, key, certificate).
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None, timeout: float = 5.0) -> None:
        options = [("grpc.max_send_message_length", LARGEST), ("grpc.max_receive_message_length", LARGEST)]
        self._channel = (
            grpc.aio.insecure_channel(address, options) if credentials is None else grpc.aio.secure_channel(address, credentials, options)
        )
        self._timeout = timeout

    async def __aenter__(self) -> ExtensionClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(None)

    async def ask(self, recorded: Recorded) -> Any:
        """The answer. Raises grpc.aio.AioRpcError."""
        method = METHODS[recorded.hook]
        answer: bytes = await self._channel.unary_unary(f"/{SERVICE}/{method}", None, None)(recorded.data, timeout=self._timeout)
        return decode(f"{PACKAGE}.{method}Response", answer)

    async def healthy(self) -> bool:
        """Whether the server says that it serves (grpc.health.v1)."""
        answer: bytes = await self._channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"", timeout=self._timeout)
        return answer == b"\x08\x01"
