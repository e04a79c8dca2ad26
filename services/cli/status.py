"""`headgate status`: is everything running, is anything behind, what is wrong with what I wrote."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from rich.text import Text

from services.cli.output import Format, emit, out
from shared.bus import history
from shared.bus.connection import Bus
from shared.bus.table import read_all
from shared.core import names

_OK = {"Accepted", "Programmed", "ResolvedRefs", "Ready"}


async def collect(bus: Bus, state_dir: Path) -> dict[str, Any]:
    """Everything that `status` shows, as plain data."""
    services = await asyncio.gather(*(_service(p) for p in sorted((state_dir / "services").glob("*.json"))))
    objects: dict[str, list[dict[str, Any]]] = {}
    known = {str(g): g for g in await history.gateways(bus)}
    gateways: dict[str, dict[str, Any]] = {name: {} for name in known}
    problems: list[dict[str, Any]] = []
    for subject, entry in sorted((await read_all(bus, "STATUS", ["status.>"])).items()):
        if entry.deleted:
            continue
        tokens = [names.unescape(t) for t in subject.split(".")[1:]]
        value = json.loads(entry.value)
        if tokens[0] == "infra" and len(tokens) == 3:
            gateways.setdefault(f"{tokens[1]}/{tokens[2]}", {})["infrastructure"] = value
        elif tokens[0] == "xds" and len(tokens) == 4:
            gateways.setdefault(f"{tokens[1]}/{tokens[2]}", {}).setdefault("xds", {})[tokens[3]] = value
        elif tokens[0] == "provider":
            problems += value.get("problems", [])
        elif len(tokens) == 5:
            ref = f"{tokens[1]}/{tokens[2]}/{tokens[3]}" if tokens[2] else f"{tokens[1]}/{tokens[3]}"
            objects.setdefault(ref, []).extend(_conditions(value.get("status", {})))
    for name, gateway in gateways.items():
        commits = await history.commits_of(bus, known[name]) if name in known else []
        gateway["version"] = commits[-1].version if commits else 0
    return {"services": list(services), "gateways": gateways, "objects": objects, "problems": problems}


async def _service(note: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(note.read_text())
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(known["ops"] + "/status") as answer,
        ):
            return {**known, **await answer.json()}
    except (aiohttp.ClientError, TimeoutError) as e:
        return {**known, "ready": False, "stuck": False, "reason": f"does not answer: {e or type(e).__name__}"}


def _conditions(status: dict[str, Any], where: str = "") -> list[dict[str, Any]]:
    found = [{"at": where, **{k: c.get(k, "") for k in ("type", "status", "reason", "message")}} for c in status.get("conditions", ())]
    for field, label in (("parents", "parentRef"), ("ancestors", "ancestorRef"), ("listeners", "name")):
        for entry in status.get(field, ()):
            at = entry.get(label)
            found += _conditions(entry, at.get("name", "") if isinstance(at, dict) else str(at))
    return found


def healthy(data: dict[str, Any]) -> bool:
    """Every service ready and none stuck, no bad condition, no unreadable input."""
    return all(s.get("ready") and not s.get("stuck") for s in data["services"]) and not data["problems"] and not _bad(data)


def _bad(data: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(ref, c) for ref, cs in data["objects"].items() for c in cs if c["type"] in _OK and c["status"] != "True"]


def show(data: dict[str, Any], form: Format) -> None:
    if form is not Format.text:
        emit(data, form)
        return
    out.print("[bold]Services[/bold]")
    for s in data["services"]:
        good = s.get("ready") and not s.get("stuck")
        line = Text("  ✓ " if good else "  ✗ ", style="green" if good else "red")
        line.append(f"{s['replica']:<20}", style="default")
        line.append(
            f" oldest change waits {s.get('oldestChangeAgeSeconds', 0):.1f} s" if s.get("oldestChangeAgeSeconds") else "", style="yellow"
        )
        line.append(f" {s.get('reason') or ''}", style="yellow" if good else "red")
        out.print(line)
    out.print("[bold]Gateways[/bold]")
    for name, g in data["gateways"].items():
        proxies = sum(len(x.get("proxies", {})) for x in g.get("xds", {}).values())
        behind = sum(1 for x in g.get("xds", {}).values() for v in x.get("proxies", {}).values() if v != g["version"])
        infra = g.get("infrastructure", {})
        ready = "ready" if infra.get("ready") else f"not ready {infra.get('message', '')}".rstrip()
        out.print(
            Text(
                f"  {name}  version {g['version']}, {proxies} proxies ({behind} behind), {ready}",
                style="" if infra.get("ready") else "yellow",
            )
        )
        for replica in g.get("xds", {}).values():
            for r in replica.get("rejections", ()):
                out.print(Text(f"    rejected: {r['resource']}: {r['detail']}", style="red"))
    bad = _bad(data)
    out.print(f"[bold]Objects[/bold]  {len(data['objects'])} with a status, {len({r for r, _ in bad})} of them with a problem")
    for ref, c in bad:
        where = f" at {c['at']}" if c["at"] else ""
        out.print(Text(f"  {ref}{where}: {c['type']} is {c['status']} ({c['reason']}): {c['message']}", style="red"))
    for p in data["problems"]:
        out.print(Text(f"  {p['where']}{' ' + p['object'] if p['object'] else ''}: {p['message']}", style="red"))
