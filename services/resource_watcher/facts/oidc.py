"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0, section 4): asked {issuer, ca?, insecure?, serverName?}."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from services.resource_watcher.facts.answering import Unanswered

TIMEOUT = 5.0
MOST = 1 << 20
"""Bytes of a document; providers' have a few thousand."""
_PATH = "/.well-known/openid-configuration"


class _Document(msgspec.Struct):
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    end_session_endpoint: str | None = None


async def discover(asked: dict[str, Any]) -> dict[str, Any]:
    """The endpoints, in the spelling of Envoy Gateway's IR. Raises Unanswered."""
    issuer = str(asked.get("issuer", ""))
    if not issuer.startswith(("https://", "http://")):
        raise Unanswered(f"the issuer {issuer!r} is no URL")
    url = issuer.rstrip("/") + _PATH
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
            session.get(url, ssl=_trust(asked), server_hostname=asked.get("serverName"), max_redirects=3) as answer,
        ):
            if answer.status != HTTPStatus.OK:
                raise Unanswered(f"{url} answers {answer.status}")
            body = await _read(answer.content)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as e:
        raise Unanswered(f"{url} cannot be fetched: {e or type(e).__name__}") from e
    if body is None:
        raise Unanswered(f"what {url} answers is longer than {MOST} bytes")
    try:
        found = msgspec.json.decode(body, type=_Document)
    except msgspec.DecodeError as e:
        raise Unanswered(f"{url} is no OpenID configuration: {e}") from e
    for field in ("token_endpoint", "authorization_endpoint"):
        if not getattr(found, field):
            raise Unanswered(f"invalid openid-configuration from issuer URL {issuer}: {field} not found in OpenID configuration")
    endpoints = {"authorizationEndpoint": found.authorization_endpoint, "tokenEndpoint": found.token_endpoint}
    return endpoints | ({"endSessionEndpoint": found.end_session_endpoint} if found.end_session_endpoint else {})


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """All of it, or None if that is too much."""
    try:
        await content.readexactly(MOST + 1)
    except asyncio.IncompleteReadError as e:
        return e.partial
    return None


def _trust(asked: dict[str, Any]) -> ssl.SSLContext | bool:
    """Whose certificates are believed: those of the provider's own authority where one is named."""
    if asked.get("insecure"):
        return False
    authority = asked.get("ca")
    if not authority:
        return True
    try:
        return ssl.create_default_context(cadata=authority)
    except ssl.SSLError as e:
        raise Unanswered(f"the provider's certificate authority cannot be read: {e}") from e
