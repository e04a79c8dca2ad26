"""Watches the folders, tells what changed in them, and is careful with what is gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import structlog
from watchfiles import awatch

from services.resource_watcher.provider import Problem, Sink, Update
from services.resource_watcher.providers.file import scan
from services.resource_watcher.providers.file.own_secrets import own_secrets
from services.resource_watcher.providers.file.scan import Stamp, Unreadable
from services.resource_watcher.providers.file.status_files import StatusFiles
from services.resource_watcher.stages.fileset import FileSet
from shared.core.refs import ObjectRef
from shared.runtime.settings import Settings

log = structlog.get_logger("file-provider")

GRACE = 0.3
"""Seconds that an object stays after it vanished: editors delete before they write, and folders are swapped."""
STEP_MS, DEBOUNCE_MS, IDLE_MS = 2, 20, 500
RESCAN_SECONDS, RESCAN_SHARE = 30.0, 0.001
"""How often all stamps are looked at, should the kernel have dropped events; and how much of the time that may take."""


class FileProvider:
    def __init__(self, settings: Settings) -> None:
        custom = settings.config.provider.custom
        assert custom is not None
        assert custom.resource.file is not None
        self._roots = tuple(Path(p) for p in custom.resource.file.paths)
        self._status = StatusFiles(settings.state_dir / "status")
        self._set = FileSet(settings.config.kinds)
        self._own_at = (settings.cert_dir, settings.namespace)
        self._own: dict[ObjectRef, tuple[dict[str, Any], str]] = {}
        """The control plane's own Secrets; an object in the folders goes before one of the same name."""
        self._stamps: dict[str, Stamp] = {}
        self._folders: set[str] = set()
        self._vanished: dict[ObjectRef, float] = {}
        self._missing: dict[Path, Problem] = {}
        self._told: tuple[Problem, ...] = ()

    async def run(self, sink: Sink, stop: asyncio.Event) -> None:
        complete = False
        async for paths in self._ticks(stop):
            touched = await asyncio.to_thread(self._look, paths)
            changes = self._changes(touched)
            problems = self._problems()
            first = not complete and len(self._missing) < len(self._roots)
            if changes or first or problems != self._told:
                complete = complete or first
                unknown = self._set.unknown | {str(r) for r in self._missing}
                await sink(Update(changes, complete, problems, unknown, {ref: self._source(ref) for ref in changes}))
                self._told = problems

    def expect(self, refs: frozenset[ObjectRef]) -> None:
        """Files are read whole: there is nothing to fetch."""

    async def want(self, ref: ObjectRef, wanted: bool) -> dict[ObjectRef, dict[str, Any]]:
        return {}

    async def write_status(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        await asyncio.to_thread(self._status.write, ref, status)

    async def read_status(self, ref: ObjectRef) -> dict[str, Any] | None:
        return await asyncio.to_thread(self._status.read, ref) if self._status.has(ref) else None

    def hold_status(self, ref: ObjectRef, status: dict[str, Any]) -> None:
        """Nobody else writes these files."""

    async def _ticks(self, stop: asyncio.Event) -> AsyncIterator[set[str] | None]:
        """Paths to look at again; None means everything. Survives roots that vanish and come back."""
        while not stop.is_set():
            roots = [r for r in self._roots if r.exists()]
            yield None  # what happened while nobody watched
            if not roots:
                await _sleep(stop, IDLE_MS / 1000)
                continue
            identity = _identity(self._roots)
            # the kernel's watch begins with the loop below: what happened between the look above and that is looked for at its first turn
            rescan_at = 0.0
            try:
                async for events in awatch(
                    *roots,
                    watch_filter=None,
                    debounce=DEBOUNCE_MS,
                    step=STEP_MS,
                    rust_timeout=IDLE_MS,
                    yield_on_timeout=True,
                    stop_event=asyncio.Event(),  # one of its own: awatch sets it when it is cancelled, and losing a lease is not the end
                ):
                    if stop.is_set() or _identity(self._roots) != identity:
                        break
                    paths = {p for _, p in events}
                    begin = time.monotonic()
                    if any(self._structural(p) for p in paths) or begin > rescan_at:
                        yield None
                        now = time.monotonic()
                        rescan_at = now + max(RESCAN_SECONDS, (now - begin) / RESCAN_SHARE)
                    elif paths or self._vanished:
                        yield paths
            except (FileNotFoundError, OSError, RuntimeError) as e:
                log.warning("watch_restarted", error=str(e))
                await _sleep(stop, IDLE_MS / 1000)

    def _look(self, paths: Iterable[str] | None) -> set[ObjectRef]:
        """Reads what changed, among the paths or everywhere. Runs in a thread: files may be large."""
        self._missing = {r: Problem(str(r), "is not there; what it last held stays in force") for r in self._roots if not r.exists()}
        found = self._everything() if paths is None else {p: s for p in paths if (s := scan.stamp(p)) is not None}
        looked_at: Iterable[str] = self._set.paths if paths is None else paths
        touched: set[ObjectRef] = set()
        for path, stamp in found.items():
            if self._stamps.get(path) != stamp:
                touched |= self._read(path, stamp)
        for path in [p for p in looked_at if p not in found and p in self._set]:
            if not any(Path(path).is_relative_to(r) for r in self._missing):
                touched |= self._set.drop(path)
                self._stamps.pop(path, None)
        return touched | self._own_secrets() if paths is None else touched

    def _own_secrets(self) -> set[ObjectRef]:
        folder, namespace = self._own_at
        before, self._own = self._own, {r: (raw, at) for r, raw, at in own_secrets(folder, namespace)} if folder is not None else {}
        return {ref for ref in before.keys() | self._own.keys() if before.get(ref) != self._own.get(ref)}

    def _structural(self, path: str) -> bool:
        """Whether an event means more than one file: a folder came or went, or a link was turned (as ConfigMap mounts do)."""
        return path in self._folders or (not scan.relevant(path) and scan.leads_on(path))

    def _everything(self) -> dict[str, Stamp]:
        found = {p: s for root in self._roots if root.exists() for p, s in scan.files(root)}
        self._folders = {f for parent in {os.path.dirname(p) for p in found} for f in (parent, *scan.folders_of(parent))}
        return found

    def _read(self, path: str, stamp: Stamp) -> set[ObjectRef]:
        try:
            text = scan.read(path)
        except Unreadable as e:
            self._stamps[path] = stamp
            return self._set.fail(path, str(e))
        if text is None:
            return set()
        self._stamps[path] = stamp
        return self._set.put(path, text)

    def _changes(self, touched: set[ObjectRef]) -> dict[ObjectRef, dict[str, Any] | None]:
        """New contents at once; deletions once their grace is over and their folder is still there."""
        now = time.monotonic()
        changes: dict[ObjectRef, dict[str, Any] | None] = {}
        for ref in touched:
            found = self._found(ref)
            if found is None:
                self._vanished.setdefault(ref, now + GRACE)
            else:
                self._vanished.pop(ref, None)
                changes[ref] = found[0]
        if not self._missing:
            for ref in [r for r, due in self._vanished.items() if due <= now]:
                del self._vanished[ref]
                changes[ref] = None
        return changes

    def _problems(self) -> tuple[Problem, ...]:
        return (*self._missing.values(), *self._set.problems())

    def _source(self, ref: ObjectRef) -> str:
        found = self._found(ref)
        return found[1] if found else ""

    def _found(self, ref: ObjectRef) -> tuple[dict[str, Any], str] | None:
        return self._set.get(ref) or self._own.get(ref)


def _identity(roots: Iterable[Path]) -> list[tuple[int, int] | None]:
    """Tells when a watched folder is another one under the same name."""
    out: list[tuple[int, int] | None] = []
    for root in roots:
        try:
            s = root.stat()
        except OSError:
            out.append(None)
        else:
            out.append((s.st_dev, s.st_ino) if root.is_dir() else (0, 0))
    return out


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
