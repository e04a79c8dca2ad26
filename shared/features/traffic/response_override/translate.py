"""Responses that are replaced: rules under the policy's name, with the bodies that they refer to."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

from shared.features.parts.faults import Faults
from shared.features.parts.formats import format_fault
from shared.features.parts.regex import regex_fault
from shared.features.parts.string_match import string_match
from shared.features.route.direct_response.spec import CustomBodySpec, DirectResponseSpec
from shared.features.route.redirect.ir import Redirect
from shared.features.route.redirect.spec import RequestRedirectSpec
from shared.features.route.url_rewrite.ir import PathModifier
from shared.features.traffic.response_override.ir import (
    CustomResponse,
    OverrideRule,
    ResponseMatch,
    ResponseOverride,
    StatusMatch,
    StatusRange,
)
from shared.features.traffic.response_override.spec import ResponseMatchSpec, ResponseOverrideSpec, StatusCodeSpec
from shared.ir.match import AddHeader

Body = Callable[[CustomBodySpec], tuple[bytes, str | None]]
"""A body's bytes, and why there are none."""


def translate(specs: Sequence[ResponseOverrideSpec], policy: str, body: Body, faults: Faults) -> ResponseOverride | None:
    """`policy` is the name under which its filter stands on listeners."""
    if not specs:
        return None
    here = faults.inside("ResponseOverride")
    rules = tuple(_rule(each, f"{policy}/responseoverride/rule/{n}", body, here) for n, each in enumerate(specs))
    return ResponseOverride(name=policy, rules=rules)


def _rule(spec: ResponseOverrideSpec, name: str, body: Body, faults: Faults) -> OverrideRule:
    for each in spec.match.response_headers:
        if each.value.type == "RegularExpression" and (fault := regex_fault(each.value.value)) is not None:
            faults.add(fault)
    rule = OverrideRule(
        name=name,
        match=_match(spec.match, faults),
        redirect=_redirect(spec.redirect) if spec.redirect is not None else None,
        response=_response(spec.response or DirectResponseSpec(), body, faults) if spec.redirect is None else None,
        source=spec.source or "",
    )
    if not rule.match.status_codes and not rule.match.response_headers:
        faults.add("at least one of statusCodes or responseHeaders must be specified")
    return rule


def _match(spec: ResponseMatchSpec, faults: Faults) -> ResponseMatch:
    return ResponseMatch(
        status_codes=tuple(found for each in spec.status_codes if (found := _status(each, faults)) is not None),
        response_headers=tuple(string_match(h.value, h.name) for h in spec.response_headers),
    )


def _status(spec: StatusCodeSpec, faults: Faults) -> StatusMatch | None:
    if spec.type == "Range" and spec.range is not None:
        return StatusMatch(range=StatusRange(start=spec.range.start, end=spec.range.end))
    if spec.type != "Range" and spec.value is not None:
        return StatusMatch(value=spec.value)
    faults.add(f"a status code of type {spec.type} lacks its {spec.type.lower()}")
    return None


def _redirect(spec: RequestRedirectSpec) -> Redirect:
    path = spec.path
    return Redirect(
        scheme=spec.scheme,
        path=PathModifier(full_replace=path.replace_full_path, prefix_match_replace=path.replace_prefix_match)
        if path is not None
        else None,
        hostname=spec.hostname,
        port=spec.port,
        status_code=spec.status_code,
    )


def _response(spec: DirectResponseSpec, body: Body, faults: Faults) -> CustomResponse:
    found = b""
    if spec.body is not None:
        found, fault = body(spec.body)
        if fault is not None:
            faults.add(fault)
    headers: list[AddHeader] = []
    if spec.header is not None:
        if spec.header.remove:
            faults.add("Remove is not supported for header in CustomResponse")
        for h in (*spec.header.add, *spec.header.set):
            if (fault := format_fault(h.value)) is not None:
                faults.add(f"header {h.name}: {fault}")
        headers += [AddHeader(name=h.name, value=(h.value,), append=True) for h in spec.header.add]
        headers += [AddHeader(name=h.name, value=(h.value,)) for h in spec.header.set]
    return CustomResponse(
        content_type=spec.content_type,
        status_code=spec.status_code,
        body=base64.b64encode(found).decode(),
        add_response_headers=tuple(headers),
    )
