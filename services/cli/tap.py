"""`headgate tap`: the bus as it goes by, decoded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from services.cli.output import Format, emit, out
from shared.bus.connection import Bus
from shared.bus.tap import Tapped, tap

_COLOURS = {"resources": "cyan", "ir": "green", "status": "yellow", "wants": "magenta", "facts": "blue", "hooks": "cyan"}
_WIDTH = 400


async def follow(bus: Bus, subject: str, form: Format, *, last: bool, count: int | None) -> None:
    """Prints messages until `count` of them were shown, or for ever."""
    stream = tap(bus, subject, last_values=last)
    shown = 0
    try:
        async for message in stream:
            if message.subject.startswith(("$", "_INBOX")):
                continue
            show(message, form)
            shown += 1
            if count is not None and shown >= count:
                return
    finally:
        await stream.close()


def show(message: Tapped, form: Format) -> None:
    value = decode(message.value)
    if form is not Format.text:
        emit({"subject": message.subject, "time": clock(message.time), "headers": dict(message.headers), "value": value}, form)
        return
    kind = message.subject.split(".", 1)[0]
    line = Text(f"{clock(message.time)} ", style="dim")
    line.append(message.subject, style=_COLOURS.get(kind, "white"))
    if not message.value:
        line.append("  deleted", style="red")
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if not isinstance(value, str) else value
        line.append("  " + (text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"))
    out.print(line)


def decode(value: bytes) -> Any:
    """JSON where it is JSON; None for an empty message."""
    if not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return value.decode(errors="replace")


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M:%S.%f")[:-3]
