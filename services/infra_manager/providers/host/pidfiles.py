"""Which processes are ours: notes beside each Envoy that outlive whoever wrote them, and how all of them are stopped.

This file is also a program (`python -I pidfiles.py STATE_DIR LOCK`), the reaper: it sleeps until whoever holds the lock, `headgate up`,
is gone for any reason, and then stops what the notes name. It imports little, because it does nothing most of its life.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

FOLDER = "envoy"
NOTE = "pid.json"
REAPER = "reaper.json"


class Note(NamedTuple):
    """`marker` stands in the process's command line and in no other's; `created` as psutil tells it. `key`: digest of what it was
    started with; `gateway`: `<ns>/<name>`; `leaves_at`: until when (seconds since 1970) it drains, 0 while it is to stay."""

    pid: int
    created: float
    marker: str
    key: str = ""
    gateway: str = ""
    leaves_at: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether that very process runs (a number alone may have been given to another)."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.created) < 0.01 or self.marker in process.cmdline()
        except psutil.Error:
            return False


def take_note(folder: Path, pid: int, marker: str, key: str = "", gateway: str = "", name: str = NOTE) -> Note:
    """Writes the note of a process just started."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        created = 0.0
    return keep_note(folder, Note(pid, created, marker, key, gateway), name)


def keep_note(folder: Path, note: Note, name: str = NOTE) -> Note:
    """In place of what the folder had."""
    draft = folder / f".{name}"
    draft.write_text(json.dumps(note._asdict()))
    draft.replace(folder / name)
    return note


def read_note(path: Path) -> Note | None:
    try:
        return Note(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def notes(state_dir: Path) -> list[tuple[Path, Note]]:
    """(folder, note) of every Envoy that was started from this state folder, alive or not."""
    found = sorted((state_dir / FOLDER).glob(f"*/*/{NOTE}"))
    return [(path.parent, note) for path in found if (note := read_note(path)) is not None]


def stop_left_behind(state_dir: Path, grace: float = 5.0) -> list[int]:
    """Stops every Envoy (and the reaper) started from this state folder, and waits; the processes that it stopped.

    SIGTERM first, SIGKILL after `grace` seconds.
    """
    envoys = notes(state_dir)
    reaper = read_note(state_dir / FOLDER / REAPER)
    if reaper is not None and reaper.pid != os.getpid():
        _stop([reaper], 1.0)
    stopped = _stop([note for _, note in envoys], grace)
    for folder, _ in envoys:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        (state_dir / FOLDER / REAPER).unlink()
    return stopped


def _stop(targets: Iterable[Note], grace: float) -> list[int]:
    alive = [t for t in targets if t.alive]
    found = [t.pid for t in alive]
    for signum, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for target in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target.pid, signum)
        end = time.monotonic() + patience
        while alive and time.monotonic() < end:
            for target in alive:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(target.pid, os.WNOHANG)
            alive = [t for t in alive if t.alive]
            time.sleep(0.02)
    return found


def locked(path: Path) -> bool:
    """Whether somebody holds a lock on the file: then there is a supervisor whose end means ours."""
    try:
        with path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def main(state_dir: str, lock: str) -> None:
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stop_left_behind(Path(state_dir))


if __name__ == "__main__":
    main(*sys.argv[1:3])
