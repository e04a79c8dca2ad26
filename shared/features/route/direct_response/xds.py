"""Answers of the proxy itself: the DirectResponseAction of a route."""

from __future__ import annotations

import base64
import binascii

from shared.features.parts.formats import format_fault, literal
from shared.features.parts.xds_values import Unrenderable
from shared.features.route.direct_response.ir import DirectResponse
from shared.ir.http import HttpRoute
from shared.xds.message import Fields


def body(response: DirectResponse) -> bytes:
    """The body's bytes; Unrenderable where it is not base64."""
    try:
        return sound(base64.b64decode(response.body, validate=True))
    except binascii.Error as e:
        raise Unrenderable(f"direct response: the body is not base64: {e}") from e


def sound(body: bytes) -> bytes:
    """Envoy takes the body for a format string; one that is none (a style sheet's `100%`) is given as it stands."""
    text = body.decode(errors="surrogateescape")
    return body if format_fault(text) is None else literal(text).encode(errors="surrogateescape")


def action(route: HttpRoute) -> Fields | None:
    """DirectResponseAction; None for a route without one."""
    response = route.direct_response
    if response is None:
        return None
    out: Fields = {"status": response.status_code}
    if response.body:
        out["body_format"] = {"text_format_source": {"inline_bytes": body(response)}}
    return out
