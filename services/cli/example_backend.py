"""A small backend to try things with: it answers each request with what it received, as JSON."""

from __future__ import annotations

import asyncio
import json
import signal

from aiohttp import web

_NAME = web.AppKey("name", str)


async def _echo(request: web.Request) -> web.Response:
    body = (await request.read())[:4096].decode(errors="replace")
    return web.json_response(
        {
            "backend": request.app[_NAME],
            "method": request.method,
            "host": request.host,
            "path": request.path_qs,
            "headers": {k.lower(): v for k, v in request.headers.items()},
            "body": body,
        },
        dumps=_pretty,
    )


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


async def serve(host: str, port: int, name: str, stop: asyncio.Event) -> None:
    """Listens until `stop`. OSError if the port is taken."""
    app = web.Application()
    app[_NAME] = name
    app.router.add_route("*", "/{path:.*}", _echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def main(host: str, port: int, name: str) -> None:
    """Runs until SIGINT or SIGTERM."""

    async def run() -> None:
        stop = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        await serve(host, port, name, stop)

    asyncio.run(run())
