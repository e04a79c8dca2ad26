"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0, section 4): asked {issuer, ca?, insecure?, serverName?}."""

from __future__ import annotations

from typing import Any

import msgspec

from services.resource_watcher.facts.answering import Unanswered
from services.resource_watcher.facts.fetching import fetch, session, trust

KIND = "oidc"
TIMEOUT = 5.0
MOST = 1 << 20
"""Bytes of a document; providers' have a few thousand."""
_PATH = "/.well-known/openid-configuration"


class _Document(msgspec.Struct):
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    end_session_endpoint: str | None = None


async def discover(asked: dict[str, Any], _: object = None) -> dict[str, Any]:
    """The endpoints, in the spelling of Envoy Gateway's IR. Raises Unanswered."""
    issuer = str(asked.get("issuer", ""))
    if not issuer.startswith(("https://", "http://")):
        raise Unanswered(f"the issuer {issuer!r} is no URL")
    url = issuer.rstrip("/") + _PATH
    ssl = trust(asked.get("ca"), bool(asked.get("insecure")))
    async with session(TIMEOUT) as client:
        body = (await fetch(client, url, MOST, ssl=ssl, server_hostname=asked.get("serverName"))).body
    try:
        found = msgspec.json.decode(body, type=_Document)
    except msgspec.DecodeError as e:
        raise Unanswered(f"{url} is no OpenID configuration: {e}") from e
    for field in ("token_endpoint", "authorization_endpoint"):
        if not getattr(found, field):
            raise Unanswered(f"invalid openid-configuration from issuer URL {issuer}: {field} not found in OpenID configuration")
    endpoints = {"authorizationEndpoint": found.authorization_endpoint, "tokenEndpoint": found.token_endpoint}
    return endpoints | ({"endSessionEndpoint": found.end_session_endpoint} if found.end_session_endpoint else {})
