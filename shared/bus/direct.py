"""Direct gets: a stream's values by subject and sequence without a consumer. nats-py has no batched form, so the raw API is spoken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nats.aio.msg import Msg

from shared.bus.connection import Bus
from shared.bus.errors import ApiError, Unavailable
from shared.bus.streams import TIMEOUT
from shared.bus.wire import Entry, Message, seconds

MOST_SUBJECTS = 1000
"""nats-server answers `multi_last` for at most 1,024."""


async def last(bus: Bus, stream: str, subject: str) -> Entry | None:
    """The last value under one subject, None if there is none."""
    found = await batch(bus, stream, {"last_by_subj": subject})
    return found[0].entry if found else None


async def last_of(bus: Bus, stream: str, subjects: Sequence[str], up_to_seq: int = 0) -> list[Message]:
    """The last value of each subject (no wildcards), not younger than `up_to_seq` unless that is 0."""
    found: list[Message] = []
    for start in range(0, len(subjects), MOST_SUBJECTS):
        body: dict[str, Any] = {"multi_last": list(subjects[start : start + MOST_SUBJECTS])}
        if up_to_seq:
            body["up_to_seq"] = up_to_seq
        found += await batch(bus, stream, body)
    return found


async def all_of(bus: Bus, stream: str, subject: str, most: int) -> list[Message]:
    """Every value kept under one subject, oldest first."""
    return await batch(bus, stream, {"seq": 1, "next_by_subj": subject, "batch": most})


async def subjects(bus: Bus, stream: str, filter: str) -> dict[str, int]:
    """Subjects that match, with the number of values each holds."""
    found: dict[str, int] = {}
    while True:
        info = await bus.api(f"STREAM.INFO.{stream}", {"subjects_filter": filter, "offset": len(found)})
        page = info["state"].get("subjects") or {}
        found |= page
        if not page or len(found) >= int(info.get("total", 0)):
            return found


async def purge(bus: Bus, stream: str, subject: str) -> None:
    """Removes a subject with all its history."""
    await bus.api(f"STREAM.PURGE.{stream}", {"filter": subject})


async def batch(bus: Bus, stream: str, body: Mapping[str, Any]) -> list[Message]:
    """A direct get that may answer with several messages. [] where nothing matches; Unavailable, ApiError."""
    single = "batch" not in body and "multi_last" not in body
    answers: asyncio.Queue[Msg] = asyncio.Queue()
    session = await bus.session()
    inbox = bus.inbox()
    subscription = await bus.subscribe(inbox, answers.put)
    found: list[Message] = []
    try:
        await bus.send(f"$JS.API.DIRECT.GET.{stream}", json.dumps(body).encode(), reply=inbox)
        while True:
            try:
                async with asyncio.timeout(TIMEOUT):
                    msg = await answers.get()
            except TimeoutError as e:
                raise Unavailable(f"direct get from {stream}: no answer in time") from e
            headers = msg.headers or {}
            status = headers.get("Status", "")
            if status == "404":
                return found
            if status == "503":
                raise Unavailable(f"direct get from {stream}: nothing answers")
            if status == "204":  # end of batch
                return found
            if status:
                raise ApiError(int(status), 0, f"direct get from {stream}: {headers.get('Description', '')}")
            found.append(_message(msg.data, headers))
            if single:
                return found
    finally:
        if not session.lost.is_set():
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()


def _message(value: bytes, headers: Mapping[str, str]) -> Message:
    return Message(headers["Nats-Subject"], Entry(value, headers, int(headers["Nats-Sequence"]), seconds(headers["Nats-Time-Stamp"])))
