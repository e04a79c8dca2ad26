"""`headgate history` and `headgate diff`: versions of a Gateway's IR, read back from the stream."""

from __future__ import annotations

import difflib
import json
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from services.cli import exits
from services.cli.output import Format, emit, fail, out
from services.cli.tap import decode
from shared.bus import history as past
from shared.bus.connection import Bus
from shared.bus.history import VersionGone
from shared.core.refs import GatewayRef


async def gateway_named(bus: Bus, name: str) -> GatewayRef:
    """`ns/name`, or a bare name where only one Gateway has it."""
    known = await past.gateways(bus)
    found = [g for g in known if name in (str(g), g.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(str(g) for g in known)) or "none"
    fail(f"{'several Gateways are' if found else 'no Gateway is'} called {name}", f"Gateways with a version: {names}", exits.UNREACHABLE)


async def history(bus: Bus, name: str, form: Format) -> None:
    gateway = await gateway_named(bus, name)
    found = await past.recorded(bus, gateway)
    rows = [
        {
            "version": r.commit.version,
            "at": datetime.fromtimestamp(r.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "shards": r.commit.shards,
            "changed": list(r.commit.changed),
            "causes": list(r.commit.causes),
            "epoch": r.commit.epoch,
            "root": r.commit.root,
        }
        for r in reversed(found)
    ]
    if form is not Format.text:
        emit(rows, form)
        return
    table = Table(title=f"Versions of {gateway}, newest first", title_justify="left", box=None, pad_edge=False)
    for column in ("version", "at", "shards", "changed", "causes"):
        table.add_column(column, justify="right" if column in ("version", "shards") else "left")
    for row in rows:
        table.add_row(str(row["version"]), str(row["at"]), str(row["shards"]), _some(row["changed"]), _some(row["causes"]))
    out.print(table)


async def diff(bus: Bus, name: str, a: int, b: int, form: Format) -> None:
    gateway = await gateway_named(bus, name)
    try:
        old, new = await past.shards_at(bus, gateway, a), await past.shards_at(bus, gateway, b)
    except VersionGone as e:
        fail(str(e), f"'headgate history {name}' lists the versions that can be read.", exits.UNREACHABLE)
    changes = [
        {"shard": key, "before": decode(old.get(key, b"")), "after": decode(new.get(key, b""))}
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if form is not Format.text:
        emit(changes, form)
        return
    if not changes:
        out.print(f"Versions {a} and {b} of {gateway} are the same.")
    for change in changes:
        lines = difflib.unified_diff(
            _lines(change["before"]),
            _lines(change["after"]),
            f"{change['shard']} (version {a})",
            f"{change['shard']} (version {b})",
            lineterm="",
        )
        for line in lines:
            out.print(Text(line, style=_style(line)))


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2).splitlines() if value is not None else []


def _style(line: str) -> str:
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def _some(items: Any) -> str:
    shown = ", ".join(items[:2])
    return shown + (f" (+{len(items) - 2})" if len(items) > 2 else "")
