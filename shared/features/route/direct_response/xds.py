"""Answers of the proxy itself: the DirectResponseAction of a route."""

from __future__ import annotations

import base64
import binascii

from shared.features.parts.xds_values import Unrenderable
from shared.features.route.direct_response.ir import DirectResponse
from shared.ir.http import HttpRoute
from shared.xds.message import Fields


def body(response: DirectResponse) -> bytes:
    """The body's bytes; Unrenderable where it is not base64."""
    try:
        return base64.b64decode(response.body, validate=True)
    except binascii.Error as e:
        raise Unrenderable(f"direct response: the body is not base64: {e}") from e


def action(route: HttpRoute) -> Fields | None:
    """DirectResponseAction; None for a route without one."""
    response = route.direct_response
    if response is None:
        return None
    out: Fields = {"status": response.status_code}
    if response.body:
        out["body_format"] = {"text_format_source": {"inline_bytes": body(response)}}
    return out
