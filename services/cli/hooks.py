"""`headgate tap hooks`: what extension servers are asked and answer, opened and in JSON, without what is secret in it."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.text import Text

from services.cli.output import Format, emit, out
from services.cli.tap import clock
from services.xds_server.hooks.kept import PREFIX, Record, unpacked
from shared.bus.connection import Bus
from shared.bus.tap import Tapped, tap
from shared.core import names
from shared.core.sealing import Sealer, SealError
from shared.extension.protocol import METHODS
from shared.xds.extension_protocol import PACKAGE
from shared.xds.message import Fields, decode, to_json
from shared.xds.redact import redact


async def follow(bus: Bus, sealer: Sealer, form: Format, *, last: bool, count: int | None) -> None:
    """Prints questions and answers until `count` of them were shown, or for ever."""
    stream = tap(bus, f"{PREFIX}.>", last_values=last)
    shown = 0
    try:
        async for message in stream:
            show(message, sealer, form)
            shown += 1
            if count is not None and shown >= count:
                return
    finally:
        await stream.close()


def show(message: Tapped, sealer: Sealer, form: Format) -> None:
    value = opened(message, sealer)
    if form is not Format.text:
        emit({"subject": message.subject, "time": clock(message.time), "value": value}, form)
        return
    line = Text(f"{clock(message.time)} ", style="dim")
    line.append(str(value["gateway"]), style="green")
    line.append(f"  {value['extension']}  {value['hook']}", style="cyan")
    line.append(f"  {value.get('resource', '')}  ")
    what, style = _outcome(value)
    line.append(what, style=style)
    out.print(line)


def opened(message: Tapped, sealer: Sealer) -> dict[str, Any]:
    """What was asked and answered. `answer` is None where the resource stayed as it was; both are missing where there is nothing."""
    _, namespace, name, extension, hook, *_ = message.subject.split(".")
    value: dict[str, Any] = {"gateway": names.unescape(namespace) + "/" + names.unescape(name), "extension": names.unescape(extension)}
    value["hook"] = hook
    if not message.value:
        return value | {"deleted": True}
    try:
        of = msgspec.json.decode(message.value, type=Record)
        value |= {"resource": of.resource, "ms": of.ms, "digest": of.digest}
        if of.failed:
            return value | {"failed": of.failed}
        method = f"{PACKAGE}.{METHODS[of.hook]}"
        if of.request:
            value["request"] = _shown(f"{method}Request", unpacked(sealer, of.request))
        value["answer"] = _shown(f"{method}Response", of.response(unpacked(sealer, of.answer))) if of.answer is not None else None
    except (msgspec.DecodeError, SealError, ValueError, KeyError) as e:
        return value | {"unreadable": str(e) or type(e).__name__}
    return value


def _shown(name: str, data: bytes) -> Fields:
    return to_json(redact(decode(name, data)))


def _outcome(value: dict[str, Any]) -> tuple[str, str]:
    for key, style in (("failed", "red"), ("unreadable", "red")):
        if key in value:
            return f"{key}: {value[key]}", style
    if "deleted" in value:
        return "deleted", "red"
    return f"{'unchanged' if value['answer'] is None else 'changed'}  {value['ms']} ms", "dim" if value["answer"] is None else "yellow"
