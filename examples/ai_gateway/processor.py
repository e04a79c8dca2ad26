"""The external processor's server: Envoy's streams in, one Exchange each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import grpc
import structlog

from examples.ai_gateway.envoy import LARGEST, PHASE, UPSTREAM
from examples.ai_gateway.exchange import Credentials, Exchange, Front, Upstream
from shared.xds.message import decode, encode

log = structlog.get_logger("ai-gateway")
_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_PACKAGE = "envoy.service.ext_proc.v3"


class Processor:
    """`async with Processor("127.0.0.1:5006", credentials)`; `credentials()` gives the backends' keys as they are now.

    `signing`: the key that targets are signed with.
    """

    def __init__(self, address: str, credentials: Callable[[], Credentials], signing: bytes = b"") -> None:
        self._credentials = credentials
        self._signing = signing
        largest = 2 * LARGEST
        self._server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", largest), ("grpc.so_reuseport", 0)]
        )
        handlers = {"Process": grpc.stream_stream_rpc_method_handler(self._process)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        self.port = self._server.add_insecure_port(address)

    async def __aenter__(self) -> Processor:
        await self._server.start()
        log.info("external processor listens", port=self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(1)

    async def _process(self, messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        phase = dict(context.invocation_metadata() or ()).get(PHASE)
        exchange: Exchange = Upstream(self._credentials(), self._signing) if phase == UPSTREAM else Front()
        try:
            async for data in messages:
                message = decode(f"{_PACKAGE}.ProcessingRequest", data)
                yield encode(f"{_PACKAGE}.ProcessingResponse", exchange.on(message))
        finally:
            exchange.close()
