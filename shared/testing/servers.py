"""Small servers on free ports of this machine, for tests that need somebody to talk to."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from aiohttp import web

Handler = Callable[[web.Request], web.Response | Awaitable[web.Response]]


@contextlib.asynccontextmanager
async def http_server(handler: Handler) -> AsyncIterator[int]:
    """Answers every path and method with `handler`; gives the port."""

    async def answer(request: web.Request) -> web.Response:
        made = handler(request)
        return await made if inspect.isawaitable(made) else made

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def grpc_server(service: str, **methods: Any) -> AsyncIterator[int]:
    """Method handlers that take and give bytes, by name; gives the port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
