"""`python -m examples.ai_gateway CONFIGURATION`: controller, extension server and external processor in one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from prometheus_client import start_http_server

from examples.ai_gateway.configuration import BadConfiguration, Configuration, load
from examples.ai_gateway.controller import Controller
from examples.ai_gateway.extension import AiGateway
from examples.ai_gateway.folder import FolderSource
from examples.ai_gateway.kubernetes import MANAGER, KubernetesSource
from examples.ai_gateway.objects import Source
from examples.ai_gateway.processor import Processor
from shared.extension.server import ExtensionServer
from shared.kube.client import Kube

log = structlog.get_logger("ai-gateway")


@contextlib.asynccontextmanager
async def source_of(configuration: Configuration) -> AsyncIterator[Source]:
    if configuration.folder is not None:
        yield FolderSource(Path(configuration.folder.path), Path(configuration.folder.status))
        return
    async with await Kube.connect(MANAGER) as kube:
        yield KubernetesSource(kube)


async def run(configuration: Configuration) -> None:
    """Until SIGTERM or SIGINT, or until a part of it fails."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    host, _, port = configuration.metrics.rpartition(":")
    server, thread = start_http_server(int(port), host)
    try:
        async with source_of(configuration) as source:
            await _serve(configuration, Controller(source, configuration.selector), stop)
    finally:
        server.shutdown()
        await asyncio.to_thread(thread.join, 5)


async def _serve(configuration: Configuration, controller: Controller, stop: asyncio.Event) -> None:
    host, _, port = configuration.processor.address.rpartition(":")
    signing = configuration.processor.signing
    async with (
        Processor(configuration.processor.listen, lambda: controller.credentials, signing),
        ExtensionServer(AiGateway((host, int(port)), signing), configuration.extension),
    ):
        working = asyncio.create_task(controller.run())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if working.done():
            working.result()
        working.cancel()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        configuration = load(Path(arguments[0]))
    except BadConfiguration as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    asyncio.run(run(configuration))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
