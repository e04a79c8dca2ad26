"""Statuses as files, one an object, where the user of a folder of YAML can read them: <state>/status/<group>/<Kind>/<ns>/<name>.yaml."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import yaml

from shared.core.refs import ObjectRef

# the C library's are ten times faster, and at a first start there is a file for each object
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class StatusFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, ref: ObjectRef) -> Path:
        return self._folder / (ref.group or "core") / ref.kind / (ref.namespace or "-") / f"{ref.name}.yaml"

    def has(self, ref: ObjectRef) -> bool:
        return self.path(ref).exists()

    def write(self, ref: ObjectRef, status: dict[str, Any] | None) -> None:
        """Replaces the file at once, or removes it for None."""
        path = self.path(ref)
        if status is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"kind": ref.kind, "metadata": {"name": ref.name, "namespace": ref.namespace}, "status": status}
        text = yaml.dump(content, Dumper=_DUMPER, sort_keys=False, width=130)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text)
        draft.replace(path)

    def read(self, ref: ObjectRef) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, yaml.YAMLError, AttributeError):
            status = yaml.load(self.path(ref).read_text(), _LOADER).get("status")
            return status if isinstance(status, dict) else None
        return None
