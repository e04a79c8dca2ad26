"""Responses that are replaced by others, with Envoy Gateway's field names. Bodies are base64."""

from __future__ import annotations

from typing import Literal

from shared.features.route.redirect.ir import Redirect
from shared.ir.base import IR
from shared.ir.match import AddHeader, StringMatch

Source = Literal["", "All", "Local", "Backend"]


class StatusRange(IR, frozen=True):
    """Both ends belong to it."""

    start: int
    end: int


class StatusMatch(IR, frozen=True):
    """One of the two."""

    value: int | None = None
    range: StatusRange | None = None


class ResponseMatch(IR, frozen=True):
    """One of the statuses, and all of the headers."""

    status_codes: tuple[StatusMatch, ...] = ()
    response_headers: tuple[StringMatch, ...] = ()


class CustomResponse(IR, frozen=True):
    content_type: str | None = None
    body: str = ""
    status_code: int | None = None
    add_response_headers: tuple[AddHeader, ...] = ()


class OverrideRule(IR, frozen=True):
    """A response or a redirect takes the place of what matches; `source`: whose responses are looked at, the proxy's or the backend's."""

    name: str
    match: ResponseMatch = ResponseMatch()
    response: CustomResponse | None = None
    redirect: Redirect | None = None
    source: Source = ""


class ResponseOverride(IR, frozen=True):
    """The first rule that matches counts. The name is the policy's: filters of one name are one filter."""

    name: str
    rules: tuple[OverrideRule, ...] = ()
