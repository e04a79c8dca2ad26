"""Objects from a folder of YAML files, the one that Headgate watches; what is made of them stands there in a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import structlog
import yaml
from watchfiles import awatch

from examples.ai_gateway.compiling import At, Compiled, Raw
from examples.ai_gateway.objects import KINDS

log = structlog.get_logger("ai-gateway")
MADE = "ai-gateway.generated.yaml"
_BANNER = "# Made by the AI gateway from AIRoutes; what is changed here is lost.\n"


class _Dumper(yaml.SafeDumper):
    """What stands twice is written twice: people read it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class FolderSource:
    def __init__(self, folder: Path, status: Path) -> None:
        self._folder = folder
        self._status = status
        self._files: dict[Path, tuple[int, dict[At, Raw]]] = {}
        self._statuses: dict[Path, str] = {}

    async def states(self) -> AsyncIterator[Mapping[At, Raw]]:
        before: dict[At, Raw] | None = None
        changes = awatch(self._folder, step=50, debounce=200, rust_timeout=1000, yield_on_timeout=True)
        now = await asyncio.to_thread(self._read)
        while True:
            if now != before:
                before = now
                yield now
            await anext(changes)
            now = await asyncio.to_thread(self._read)

    def _read(self) -> dict[At, Raw]:
        """Files that did not change are not read again; one that cannot be read stays as it was."""
        there = {
            p for p in self._folder.rglob("*") if p.suffix in (".yaml", ".yml", ".json") and p.name != MADE and not p.name.startswith(".")
        }
        self._files = {p: found for p, found in self._files.items() if p in there}
        for path in sorted(there):
            try:
                stamp = path.stat().st_mtime_ns
                if path not in self._files or self._files[path][0] != stamp:
                    self._files[path] = (stamp, _objects(path.read_text()))
            except (OSError, yaml.YAMLError) as e:
                log.warning("file cannot be read", file=str(path), error=str(e))
        return {at: raw for path in sorted(self._files) for at, raw in self._files[path][1].items()}

    async def put(self, made: Compiled) -> None:
        await asyncio.to_thread(self._write, made)

    def _write(self, made: Compiled) -> None:
        text = _BANNER + "---\n".join(yaml.dump(o, Dumper=_Dumper, sort_keys=False) for o in made.objects) if made.objects else _BANNER
        _replace(self._folder / MADE, text)
        statuses: dict[Path, str] = {}
        for (kind, namespace, name), status in made.statuses.items():
            document = {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "status": status}
            statuses[self._status / KINDS[kind] / kind / namespace / f"{name}.yaml"] = yaml.safe_dump(document, sort_keys=False)
        for path in self._statuses.keys() - statuses.keys():
            path.unlink(missing_ok=True)
        for path, text in statuses.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
        self._statuses = statuses


def _replace(path: Path, text: str) -> None:
    """All of it or nothing, and only where it is different."""
    if path.exists() and path.read_text() == text:
        return
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text)
    aside.replace(path)


def _objects(text: str) -> dict[At, Raw]:
    found: dict[At, Raw] = {}
    for document in yaml.safe_load_all(text):
        every: list[Any] = document.get("items") or [] if isinstance(document, dict) and document.get("kind") == "List" else [document]
        for raw in every:
            if not isinstance(raw, dict) or KINDS.get(raw.get("kind", "")) != _group(raw):
                continue
            metadata = dict(raw.get("metadata") or {})
            if not metadata.get("name"):
                continue
            metadata["namespace"] = "" if raw["kind"] == "Namespace" else metadata.get("namespace") or "default"
            found[raw["kind"], metadata["namespace"], metadata["name"]] = {**raw, "metadata": metadata}
    return found


def _group(raw: dict[str, Any]) -> str:
    group, slash, _ = str(raw.get("apiVersion", "")).rpartition("/")
    return group if slash else ""
