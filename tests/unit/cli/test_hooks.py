"""`headgate tap hooks`: questions and answers opened, and good enough to be asked again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.cli.hooks import opened, show
from services.cli.output import Format
from services.xds_server.hooks.kept import Last, Record, record, subject
from services.xds_server.hooks.plan import Answer, Ask, Slot
from shared.bus.tap import Tapped
from shared.core.refs import GatewayRef
from shared.core.sealing import Sealer, new_key
from shared.extension import protocol
from shared.extension.protocol import TRANSLATION
from shared.extension.recorded import Recorded, read, replay
from shared.extension.server import Extension
from shared.xds.message import encode

SEALER = Sealer([new_key()])
AT = GatewayRef("team.a", "gw")
HOST = encode("envoy.config.route.v3.VirtualHost", {"name": "h", "domains": ["h"]})


def message(ask: Ask, request: bytes, answer: Answer) -> Tapped:
    data = record(SEALER, ask, request, Last(ask.digest, answer), 1.5, 1 << 20)
    assert data is not None
    return Tapped(subject(AT, ask.slot), {}, data, 0, True)


def of_host(body: bytes | None) -> Tapped:
    request = protocol.request(HOST)
    return message(Ask("ext", "VirtualHost", "http/h", "d", request), request, Answer(body))


def test_a_question_and_its_answer() -> None:
    changed = encode("envoy.config.route.v3.VirtualHost", {"name": "h", "domains": ["other"]})
    value = opened(of_host(changed), SEALER)
    assert (value["gateway"], value["extension"], value["hook"], value["resource"]) == ("team.a/gw", "ext", "VirtualHost", "http/h")
    assert value["request"]["virtualHost"]["domains"] == ["h"]
    assert value["answer"]["virtualHost"]["domains"] == ["other"]
    assert opened(of_host(None), SEALER)["answer"] is None


def test_a_translation_without_its_private_keys() -> None:
    secret = encode(
        "envoy.extensions.transport_sockets.tls.v3.Secret",
        {"name": "s", "tls_certificate": {"private_key": {"inline_string": "PRIVATE"}}},
    )
    request = protocol.translation_request((), (("secret", (secret,)),))
    value = opened(message(Ask("ext", TRANSLATION, "", "d"), request, Answer(request[-len(secret) - 2 :])), SEALER)
    assert "PRIVATE" not in json.dumps(value)
    assert value["request"]["secrets"][0]["name"] == "s"


def test_failures_deletions_and_what_cannot_be_read() -> None:
    at = subject(AT, Slot("ext", "Route", "r"))
    failed = Tapped(at, {}, msgspec.json.encode(Record("ext", "Route", "r", "d", failed="UNAVAILABLE")), 0, True)
    assert opened(failed, SEALER)["failed"] == "UNAVAILABLE"
    assert opened(Tapped(at, {}, b"", 0, True), SEALER)["deleted"]
    assert opened(Tapped(at, {}, b"{", 0, True), SEALER)["unreadable"]
    assert "key that is not here" in opened(of_host(None), Sealer([new_key()]))["unreadable"]


def test_text_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    show(of_host(None), SEALER, Format.text)
    show(of_host(HOST), SEALER, Format.text)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "unchanged  1.5 ms" in lines[0]
    assert "team.a/gw  ext  VirtualHost  http/h  changed" in lines[1]


class Renaming(Extension):
    async def virtual_host(self, host: Any) -> Any:
        host.domains.append("added")
        return host


async def test_what_is_recorded_can_be_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    show(of_host(None), SEALER, Format.json)
    show(Tapped(subject(AT, Slot("ext", "Route", "r")), {}, b"", 0, True), SEALER, Format.json)
    (recorded,) = read(capsys.readouterr().out.splitlines())
    assert recorded == Recorded("VirtualHost", {"virtualHost": {"name": "h", "domains": ["h"]}, "postVirtualHostContext": {}})
    assert list((await replay(Renaming(), recorded)).virtual_host.domains) == ["h", "added"]
