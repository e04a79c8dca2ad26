"""What an OpenID provider says of itself, and what is said when it says nothing of use."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from services.resource_watcher.facts import oidc
from services.resource_watcher.facts.answering import Unanswered
from shared.testing.servers import http_server

DOCUMENT = {"authorization_endpoint": "https://idp/auth", "token_endpoint": "https://idp/token", "issuer": "x", "jwks_uri": "y"}


@contextlib.asynccontextmanager
async def provider(body: Any, status: int = 200) -> AsyncIterator[str]:
    """Its issuer's URL."""

    def answer(request: web.Request) -> web.Response:
        here = request.path == "/realm/.well-known/openid-configuration"
        return web.Response(text=body if isinstance(body, str) else json.dumps(body), status=status if here else 410)

    async with http_server(answer) as port:
        yield f"http://127.0.0.1:{port}/realm"


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_provider_names_its_endpoints(slash: str) -> None:
    async with provider(DOCUMENT) as issuer:
        found = await oidc.discover({"issuer": issuer + slash})
    assert found == {"authorizationEndpoint": "https://idp/auth", "tokenEndpoint": "https://idp/token"}
    async with provider({**DOCUMENT, "end_session_endpoint": "https://idp/end"}) as issuer:
        assert (await oidc.discover({"issuer": issuer}))["endSessionEndpoint"] == "https://idp/end"


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("nothing", 404, "answers 404"),
        ("<html>", 200, "is no OpenID configuration"),
        ({**DOCUMENT, "token_endpoint": ""}, 200, "token_endpoint not found"),
        ({"token_endpoint": "https://idp/token"}, 200, "authorization_endpoint not found"),
        ({**DOCUMENT, "token_endpoint": 1}, 200, "is no OpenID configuration"),
        ("[" + " " * oidc.MOST + "]", 200, "is longer than"),
    ],
)
async def test_a_provider_that_says_nothing_of_use_is_named(body: Any, status: int, sentence: str) -> None:
    async with provider(body, status) as issuer:
        with pytest.raises(Unanswered, match=sentence):
            await oidc.discover({"issuer": issuer})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"issuer": "idp.example.com"}, "is no URL"),
        ({"issuer": "file:///etc"}, "is no URL"),
        ({"issuer": "https://"}, "cannot be fetched"),
        ({"issuer": "http://127.0.0.1:1"}, "cannot be fetched"),
        ({"issuer": "https://a..b"}, "cannot be fetched"),
        ({"issuer": "https://127.0.0.1:1", "ca": "no certificate"}, "authority cannot be read"),
    ],
)
async def test_an_issuer_that_is_not_there_is_named(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Unanswered, match=sentence):
        await oidc.discover(asked)
