"""One Envoy process: started so that it outlives us, taken over from an earlier life, waited for, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

from services.infra_manager.providers.host.admin import Admin
from services.infra_manager.providers.host.pidfiles import Note, keep_note, take_note
from services.infra_manager.providers.host.render import ProxySpec
from shared.bus.waiting import end

POLL_SECONDS = 0.1
LOG_BYTES = 64 * 1024 * 1024


class EnvoyProcess:
    """`folder` is its own: bootstrap, admin address, note. `exited` is set when it is gone."""

    def __init__(self, folder: Path, note: Note) -> None:
        self.folder = folder
        self.note = note
        self.started = time.monotonic()
        self.exited = asyncio.Event()
        self.code: int | None = None
        """Exit code, negative for a signal; None while it runs, or where it was not our child."""
        self.admin = Admin(folder / "admin")
        self._watch = asyncio.create_task(self._wait(), name=f"envoy {note.pid}")

    @classmethod
    def start(cls, home: Path, spec: ProxySpec, gateway: str) -> EnvoyProcess:
        """Its standard output (access logs) and error go to files in `home`: a pipe to us would break when we die. OSError."""
        folder = home / str(time.time_ns() // 1_000_000)
        folder.mkdir(parents=True)
        bootstrap = folder / "bootstrap.json"
        bootstrap.write_text(json.dumps(json.loads(spec.bootstrap), indent=1))
        node = f"{spec.cluster.replace('/', '-')}-{folder.name}"
        admin = folder / "admin"
        arguments = (*spec.arguments, "-c", str(bootstrap), "--service-node", node, "--admin-address-path", str(admin))
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            spec.arguments[0],
            arguments,
            dict(os.environ),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(home / "access.log"), append, 0o640),
                (os.POSIX_SPAWN_OPEN, 2, str(home / "envoy.log"), append, 0o640),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE,),  # Python ignores it, and that would be inherited
        )
        return cls(folder, take_note(folder, pid, str(bootstrap), spec.key, gateway))

    @property
    def alive(self) -> bool:
        return not self.exited.is_set()

    @property
    def age(self) -> float:
        """Seconds since we know it."""
        return time.monotonic() - self.started

    async def stop(self, grace: float = 5.0) -> None:
        """SIGTERM, SIGKILL after `grace` seconds; returns when it is gone."""
        for signum, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.note.pid, signum)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await self.exited.wait()
        await self.forget()

    async def drain(self, longest: float) -> None:
        """No new connections, until those that are open have ended, `longest` seconds at most; then stops. Who comes after us while it
        goes on learns of it from the note."""
        end = time.monotonic() + longest
        with contextlib.suppress(OSError):
            self.note = keep_note(self.folder, self.note._replace(leaves_at=time.time() + longest))
        if await self.admin.drain():
            while self.alive and time.monotonic() < end:
                open_connections = await self.admin.connections()
                if not open_connections:
                    break
                await asyncio.sleep(POLL_SECONDS)
        await self.stop()

    async def forget(self) -> None:
        """Ends the watching; removes its folder if it is gone."""
        await end(self._watch)
        await self.admin.close()
        if not self.alive:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _wait(self) -> None:
        try:
            descriptor = os.pidfd_open(self.note.pid)
        except (AttributeError, OSError):
            while self.note.alive:
                self._reap()
                await asyncio.sleep(POLL_SECONDS)
        else:
            loop = asyncio.get_running_loop()
            gone = asyncio.Event()
            loop.add_reader(descriptor, gone.set)
            try:
                await gone.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        self._reap()
        self.exited.set()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self.note.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)


_TAGS = re.compile(r"^(\[[^\]]*\]\s*)+")


def last_words(home: Path) -> str:
    """Why an Envoy ended, as its log says: the last critical line, else the last line; without time, process and source."""
    try:
        with (home / "envoy.log").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    telling = [line for line in lines if "][critical]" in line] or lines[-1:]
    return " ".join(_TAGS.sub("", telling[-1]).split())[:500] if telling else ""


def trim_logs(home: Path) -> None:
    """Keeps a log that has grown large as `<name>.1` and goes on with an empty one (Envoy appends)."""
    for name in ("envoy.log", "access.log"):
        path = home / name
        with contextlib.suppress(OSError):
            if path.stat().st_size > LOG_BYTES:
                shutil.copyfile(path, path.with_name(name + ".1"))
                os.truncate(path, 0)
