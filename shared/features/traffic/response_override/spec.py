"""Responses that are replaced, as a BackendTrafficPolicy writes them."""

from __future__ import annotations

from typing import Literal

from shared.api.base import Spec
from shared.features.parts.string_match import StringMatchSpec
from shared.features.route.direct_response.spec import DirectResponseSpec
from shared.features.route.redirect.spec import RequestRedirectSpec


class StatusRangeSpec(Spec, frozen=True):
    start: int
    end: int


class StatusCodeSpec(Spec, frozen=True):
    """`type` is Value or Range."""

    type: str = "Value"
    value: int | None = None
    range: StatusRangeSpec | None = None


class HeaderMatchSpec(Spec, frozen=True):
    name: str
    value: StringMatchSpec


class ResponseMatchSpec(Spec, frozen=True):
    status_codes: tuple[StatusCodeSpec, ...] = ()
    response_headers: tuple[HeaderMatchSpec, ...] = ()


class ResponseOverrideSpec(Spec, frozen=True):
    match: ResponseMatchSpec
    source: Literal["All", "Local", "Backend"] | None = None
    response: DirectResponseSpec | None = None
    redirect: RequestRedirectSpec | None = None
