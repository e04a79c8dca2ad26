"""The file system as the File provider sees it: which files there are, and their text. The only place that touches disk for reading."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from services.resource_watcher.stages.documents import MAX_FILE

SUFFIXES = (".yaml", ".yml", ".json")


class Unreadable(Exception):
    """A file whose text cannot be had; says why."""


class Stamp(NamedTuple):
    """What changes when a file is written or replaced."""

    inode: int
    size: int
    modified: int


def relevant(path: str) -> bool:
    """Whether a file may hold objects: right ending, not hidden, no editor's leavings."""
    name = os.path.basename(path)
    return name.endswith(SUFFIXES) and not name.startswith((".", "#", "~"))


def leads_on(path: str) -> bool:
    """Whether there may be files behind a path: a folder or a link."""
    return os.path.isdir(path) or os.path.islink(path)


def folders_of(path: str) -> Iterator[str]:
    """The folders that a file stands in, innermost first."""
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def files(root: Path) -> Iterator[tuple[str, Stamp]]:
    """All files below a folder (or the file itself) in name order; hidden folders are left out, links are followed."""
    if root.is_file():
        yield from _stamped(str(root))
        return
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        try:
            here = os.stat(folder)
        except OSError:  # gone since its parent was listed
            folders.clear()
            continue
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if relevant(path):
                yield from _stamped(path)


def stamp(path: str) -> Stamp | None:
    """The file's stamp, None if there is no such file."""
    return next((s for _, s in _stamped(path)), None)


def _stamped(path: str) -> Iterator[tuple[str, Stamp]]:
    try:
        s = os.stat(path)
    except OSError:
        return
    yield path, Stamp(s.st_ino, s.st_size, s.st_mtime_ns)


def read(path: str) -> str | None:
    """The file's text, None if it is gone. Raises Unreadable."""
    try:
        size = os.stat(path).st_size
        if size > MAX_FILE:
            raise Unreadable(f"{size:,} bytes; a file may have {MAX_FILE:,}. Split it.")
        with open(path, encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as e:
        raise Unreadable(f"not UTF-8 text: {e.reason} at byte {e.start}") from e
    except OSError as e:
        raise Unreadable(f"cannot be read: {e.strerror}") from e
