"""Bytes from elsewhere over HTTP: with a limit, a deadline, and the authority that the asker trusts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from services.resource_watcher.facts.answering import Unanswered

_REDIRECTS = 3


@contextlib.asynccontextmanager
async def session(seconds: float) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as made:
        yield made


def trust(authority: str | None, insecure: bool = False) -> ssl.SSLContext | bool:
    """Whose certificates are believed: those of `authority` (PEM) where one is named. Raises Unanswered."""
    if insecure:
        return False
    if not authority:
        return True
    try:
        return ssl.create_default_context(cadata=authority)
    except (ssl.SSLError, ValueError) as e:
        raise Unanswered(f"the certificate authority cannot be read: {e}") from e


async def fetch(client: aiohttp.ClientSession, url: str, most: int, accept: tuple[int, ...] = (HTTPStatus.OK,), **how: Any) -> Fetched:
    """An answer with one of the statuses `accept`, whole. Raises Unanswered, which names the URL."""
    try:
        async with client.get(url, max_redirects=_REDIRECTS, **how) as answer:
            if answer.status not in accept:
                raise Unanswered(f"{url} answers {answer.status}")
            body = await _read(answer.content, most)
            status, headers = answer.status, answer.headers
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as e:
        raise Unanswered(f"{url} cannot be fetched: {e or type(e).__name__}") from e
    if body is None:
        raise Unanswered(f"what {url} answers is longer than {most} bytes")
    return Fetched(status, headers, body)


class Fetched:
    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


async def _read(content: aiohttp.StreamReader, most: int) -> bytes | None:
    """All of it, or None if that is too much."""
    try:
        await content.readexactly(most + 1)
    except asyncio.IncompleteReadError as e:
        return e.partial
    return None
