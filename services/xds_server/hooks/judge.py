"""What an extension server answered, looked through before anybody gets to see it: what Envoy would refuse is refused here, and named."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from services.xds_server.hooks.plan import Answer, Ask, Server
from services.xds_server.render import checks
from shared.extension import protocol
from shared.extension.protocol import HOOKS, INCLUDED, TRANSLATION
from shared.xds.message import decode
from shared.xds.wire import Malformed


class Refused(ValueError):
    """Why an answer cannot be used."""


def judged(server: Server, ask: Ask, response: bytes) -> Answer:
    """The answer in a response. Raises Refused."""
    try:
        if ask.hook == TRANSLATION:
            _translation(server, response)
            return Answer(response)
        return Answer(_resource(ask, response))
    except (Malformed, DecodeError, UnicodeDecodeError) as e:
        raise Refused(f"the answer cannot be read: {e}") from e


def _resource(ask: Ask, response: bytes) -> bytes | None:
    body = protocol.answered(response)
    if body is None:
        return None
    shape = HOOKS[ask.hook]
    before, after = decode(shape.message, protocol.answered(ask.request) or b""), decode(shape.message, body)
    asked, got = (getattr(each, shape.name_field or "name") for each in (before, after))
    if asked != got and shape.name_field:
        raise Refused(f"asked about {asked!r}, answered about {got!r}")
    _check(shape.message, body, got)
    return body


def _translation(server: Server, response: bytes) -> None:
    for kind, resources in protocol.translated(response).items():
        seen: set[str] = set()
        for body in resources if kind in server.includes else ():
            name = protocol.name_of(body)
            if not name or name in seen:
                raise Refused(f"a {kind} without a name" if not name else f"{kind} {name} stands twice")
            seen.add(name)
            _check(INCLUDED[kind].message, body, name)


def _check(message: str, body: bytes, name: str) -> None:
    fault = checks.found(message, body)
    if fault is not None:
        raise Refused(f"{message.rpartition('.')[2]} {name}: {fault}")
