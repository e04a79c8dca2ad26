"""Keeps child processes running, and leaves none behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import random
import signal
import sys
from pathlib import Path

import structlog

from services.cli.up.plan import Child
from shared.bus.waiting import end

log = structlog.get_logger("up")

STOP_SECONDS = 8.0
FIRST_BACKOFF, LAST_BACKOFF, STEADY_SECONDS = 0.2, 5.0, 10.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _die_with_parent() -> None:
    """In the child, before exec: a killed supervisor takes its children with it (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Processes that outlive our children become ours, so that `reap` can bury them (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap() -> None:
    """Buries adopted processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


class Keeper:
    """One child: started again with backoff when it ends, until `stop`."""

    def __init__(self, child: Child, log_file: Path, environment: dict[str, str], echo: bool) -> None:
        self.child = child
        self.log_file = log_file
        self.restarts = 0
        self._environment = environment
        self._echo = echo
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.child.name)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def _keep(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            began = asyncio.get_running_loop().time()
            with self.log_file.open("ab") as sink:
                self._process = await asyncio.create_subprocess_exec(
                    *self.child.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=None if self._echo else sink,
                    stderr=None if self._echo else sink,
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            code = await self._process.wait()
            if asyncio.get_running_loop().time() - began > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            self.restarts += 1
            log.warning("child_ended", child=self.child.name, code=code, restart_in=round(backoff, 2), log=str(self.log_file))
            await asyncio.sleep(backoff * random.uniform(0.7, 1.3))
            backoff = min(backoff * 2, LAST_BACKOFF)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL to the child's whole group; returns when it is gone."""
        if self._task is not None:
            await end(self._task)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
