"""Runs one service as a process: event loop, logs, signals, ops server, graceful shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from shared.runtime import garbage, logs
from shared.runtime.ops import Ops
from shared.runtime.settings import Settings
from shared.runtime.start import CannotStart

Service = Callable[[Settings, Ops, asyncio.Event], Awaitable[None]]
log = structlog.get_logger()


def run(settings: Settings, service: Service) -> int:
    """Runs until SIGTERM or SIGINT; 0 after a clean stop, 1 after a crash, 2 for a configuration that cannot work."""
    logs.configure(settings.service, settings.config.logging)
    return uvloop.run(_main(settings, service))


async def _main(settings: Settings, service: Service) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    ops = Ops(settings.service, settings.holder)
    await ops.serve(settings.ops_host, settings.ops_port)
    announce(settings, ops)
    log.info("starting", ops_port=ops.port, replica=settings.holder)
    garbage.take_over()
    cleaning = asyncio.create_task(garbage.keep_clean())
    try:
        await service(settings, ops, stop)
    except CannotStart as e:
        log.error("cannot_start", problem=str(e))
        return 2
    except Exception:
        log.exception("crashed")
        return 1
    finally:
        cleaning.cancel()
        await ops.close()
        retract(settings)
    log.info("stopped")
    return 0


def announce(settings: Settings, ops: Ops) -> None:
    """Leaves a note in the state folder of where this process answers, for `headgate status` on the same machine."""
    folder = settings.state_dir / "services"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        host = socket.gethostname() if settings.ops_host in ("0.0.0.0", "::") else settings.ops_host
        note = {
            "service": settings.service,
            "replica": settings.holder,
            "pid": os.getpid(),
            "ops": f"http://{host}:{ops.port}",
        }
        draft = folder / f".{settings.holder}"
        draft.write_text(json.dumps(note))
        draft.replace(folder / f"{settings.holder}.json")


def retract(settings: Settings) -> None:
    with contextlib.suppress(OSError):
        (settings.state_dir / "services" / f"{settings.holder}.json").unlink(missing_ok=True)
