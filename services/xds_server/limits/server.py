"""The gRPC shell of the rate limit service's configuration: bytes between sockets and the stream machines."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import structlog

from services.xds_server.ads.messages import sotw_request, sotw_response
from services.xds_server.limits.board import Board
from services.xds_server.limits.stream import LimitStream
from services.xds_server.listening import bind
from services.xds_server.settings import XdsSettings

METHODS = {
    "envoy.service.discovery.v3.AggregatedDiscoveryService": "StreamAggregatedResources",
    "ratelimit.service.ratelimit.v3.RateLimitConfigDiscoveryService": "StreamRlsConfigs",
}
"""The rate limit service itself uses the first; the second is its own protocol for the same."""
PORT = 18001
"""Envoy Gateway's, which deployments of the rate limit service are told."""
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
log = structlog.get_logger(__name__)


class LimitServer:
    """Serves a Board to every rate limit service that connects. `changed` is to be called when the board did."""

    def __init__(self, settings: XdsSettings, board: Board) -> None:
        self._settings = settings
        self._board = board
        self._wakes: set[asyncio.Event] = set()

    def changed(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def start(self, address: str) -> tuple[grpc.aio.Server, int]:
        """Binds `host:port` (port 0: any); the server and its port. Plaintext only on loopback: ValueError elsewhere."""
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)])
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(service, {method: handler}) for service, method in METHODS.items())
        )
        port = bind(server, address, self._settings)
        await server.start()
        log.info("rate limit configuration listens", address=address, port=port)
        return server, port

    async def serve(self, address: str, stop: asyncio.Event) -> None:
        """Serves until `stop` is set."""
        server, _ = await self.start(address)
        try:
            await stop.wait()
        finally:
            await server.stop(1.0)

    async def _stream(self, _requests: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        stream, wake = LimitStream(self._board), asyncio.Event()
        self._wakes.add(wake)

        async def read() -> None:
            while (data := await context.read()) is not _EOF:
                request, node = sotw_request(data)
                if (error := stream.on_request(request)) is not None:
                    log.warning("rate limit service refused", node=node.id if node is not None else "", detail=error)
                wake.set()

        reader = asyncio.create_task(read())
        reader.add_done_callback(lambda _: wake.set())
        try:
            while not reader.done():
                wake.clear()
                if (response := stream.poll()) is not None:
                    await context.write(sotw_response(response))
                await wake.wait()
        finally:
            reader.cancel()
            self._wakes.discard(wake)
