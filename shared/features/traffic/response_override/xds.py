"""Replaced responses in Envoy: a custom response filter for each policy, which stands off until a route asks for it."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Mapping, Sequence

from shared.features.parts.formats import format_fault, literal
from shared.features.parts.per_route import ON, off
from shared.features.parts.predicates import all_of, any_of, regex
from shared.features.parts.xds_values import Unrenderable, given, header_options, wrapped
from shared.features.route.redirect.ir import Redirect
from shared.features.traffic.response_override.ir import (
    CustomResponse,
    OverrideRule,
    ResponseOverride,
    StatusMatch,
    StatusRange,
)
from shared.ir.http import HttpRoute
from shared.ir.match import AddHeader, StringMatch
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.custom_response"
FOUND = 302
_RESPONSE = "envoy.extensions.http.custom_response"
_LOCAL: Mapping[str, str] = {"Local": "true", "Backend": "false"}


def _of(route: HttpRoute) -> ResponseOverride | None:
    return route.traffic.response_override if route.traffic is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    override = _of(route)
    return {_name(override): _filter(override)} if override is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the policy's filter is on."""
    override = _of(route)
    return {_name(override): ON} if override is not None else {}


def _name(override: ResponseOverride) -> str:
    return f"{NAME}/{override.name}"


@functools.lru_cache(maxsize=256)
def _filter(override: ResponseOverride) -> Fields:
    matchers = [{"predicate": _predicate(rule), "on_match": {"action": _action(rule)}} for rule in override.rules]
    fields: Fields = {"custom_response_matcher": {"matcher_list": {"matchers": matchers}}}
    return off(_name(override), "envoy.extensions.filters.http.custom_response.v3.CustomResponse", fields)


def _predicate(rule: OverrideRule) -> Fields:
    found = any_of([_status(each) for each in rule.match.status_codes])
    found += all_of([_header(each) for each in rule.match.response_headers])
    if not found:
        raise Unrenderable(f"response override {rule.name} matches nothing")
    if rule.source in _LOCAL:
        source = pack("envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput")
        found.append(_value("http-response-local-reply-match-input", source, {"exact": _LOCAL[rule.source]}))
    return all_of(found)[0]


def _value(name: str, source: Fields, matcher: Fields) -> Fields:
    return {"single_predicate": {"input": {"name": name, "typed_config": source}, "value_match": matcher}}


def _status(of: StatusMatch) -> Fields:
    if of.range is None:
        source = pack("envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput")
        return _value("http-response-status-code-match-input", source, {"exact": str(of.value)})
    source = pack("xds.type.matcher.v3.HttpAttributesCelMatchInput")
    matcher = pack("xds.type.matcher.v3.CelMatcher", {"expr_match": {"cel_expr_parsed": {"expr": _within(of.range)}}})
    return {
        "single_predicate": {
            "input": {"name": "http-attributes-cel-match-input", "typed_config": source},
            "custom_match": {"name": "cel-matcher", "typed_config": matcher},
        }
    }


def _within(of: StatusRange) -> Fields:
    """A cel.expr.Expr: `response.code >= start && response.code <= end`."""

    def compared(operator: str, bound: int, first_id: int, ids: Sequence[int]) -> Fields:
        response: Fields = {"id": first_id, "ident_expr": {"name": "response"}}
        code: Fields = {"id": ids[0], "select_expr": {"operand": response, "field": "code"}}
        number: Fields = {"id": ids[1], "const_expr": {"int64_value": bound}}
        return {"id": ids[2], "call_expr": {"function": operator, "args": [code, number]}}

    both = [compared("_>=_", of.start, 1, (2, 4, 3)), compared("_<=_", of.end, 5, (6, 8, 7))]
    return {"id": 9, "call_expr": {"function": "_&&_", "args": both}}


def _header(of: StringMatch) -> Fields:
    source = pack("envoy.type.matcher.v3.HttpResponseHeaderMatchInput", {"header_name": of.name})
    plain = given({"exact": of.exact, "prefix": of.prefix, "suffix": of.suffix})
    return _value("http-response-header-match-input", source, regex(of.safe_regex) if of.safe_regex is not None else plain)


def _action(rule: OverrideRule) -> Fields:
    config = _redirect(rule.redirect) if rule.redirect is not None else _response(rule.response or CustomResponse())
    return {"name": rule.name, "typed_config": config}


def _redirect(to: Redirect) -> Fields:
    action = given(
        {
            "scheme_redirect": to.scheme,
            "host_redirect": to.hostname,
            "port_redirect": to.port,
            "path_redirect": to.path.full_replace if to.path is not None else None,
        }
    )
    fields: Fields = {"redirect_action": action, "status_code": wrapped(FOUND if to.status_code is None else to.status_code)}
    return pack(f"{_RESPONSE}.redirect_policy.v3.RedirectPolicy", fields)


def _response(of: CustomResponse) -> Fields:
    headers = (AddHeader(name="Content-Type", value=(of.content_type,)),) if of.content_type else ()
    fields = {
        "body_format": _body(of.body) if of.body else None,
        "response_headers_to_add": header_options((*headers, *of.add_response_headers)) or None,
        "status_code": wrapped(of.status_code) if of.status_code is not None else None,
    }
    return pack(f"{_RESPONSE}.local_response_policy.v3.LocalResponsePolicy", given(fields))


def _body(body: str) -> Fields:
    """Envoy takes a body for a format string; one that is none (a style sheet's `100%`) is given as it stands."""
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error as e:
        raise Unrenderable(f"response override: the body is not base64: {e}") from e
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"text_format_source": {"inline_bytes": data}}
    return {"text_format": text if format_fault(text) is None else literal(text)}
