"""Predicates of Envoy's generic matching (xds.type.matcher.v3.Matcher), of which authorization is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.xds.message import Fields, pack

_INPUTS = "envoy.extensions.matching.common_inputs.network.v3"


def any_of(predicates: Sequence[Fields]) -> list[Fields]:
    """One predicate that holds where any of these does; none where there is none."""
    return [{"or_matcher": {"predicate": list(predicates)}}] if len(predicates) > 1 else list(predicates)


def all_of(predicates: Sequence[Fields]) -> list[Fields]:
    """One predicate that holds where all of these do; none where there is none."""
    return [{"and_matcher": {"predicate": list(predicates)}}] if len(predicates) > 1 else list(predicates)


def negated(predicate: Fields) -> Fields:
    return {"not_matcher": predicate}


def header(name: str, matcher: Fields) -> Fields:
    """On a request header (or `:path`, `:method`); `matcher` is an xds StringMatcher."""
    source = pack("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {"header_name": name})
    return {"single_predicate": {"input": {"name": "http_header", "typed_config": source}, "value_match": matcher}}


def regex(pattern: str) -> Fields:
    """An xds StringMatcher."""
    return {"safe_regex": {"regex": pattern, "google_re2": {}}}


def client_address(networks: Iterable[tuple[str, int]]) -> Fields:
    """On the client's address: in any of these networks."""
    ranges = [{"address_prefix": prefix, "prefix_len": {"value": length}} for prefix, length in networks]
    matcher = pack("envoy.extensions.matching.input_matchers.ip.v3.Ip", {"stat_prefix": "client_ip", "cidr_ranges": ranges})
    return _custom("client_ip", pack(f"{_INPUTS}.SourceIPInput"), "ip_matcher", matcher)


def claim(name: str, provider: str, path: Iterable[str], value: str, *, in_list: bool) -> Fields:
    """On what a JWT says: a text, or a text in a list."""
    segments = [{"key": each} for each in (provider, *path)]
    source = pack(f"{_INPUTS}.DynamicMetadataInput", {"filter": "envoy.filters.http.jwt_authn", "path": segments})
    match: Fields = {"string_match": {"exact": value}}
    if in_list:
        match = {"list_match": {"one_of": match}}
    matcher = pack("envoy.extensions.matching.input_matchers.metadata.v3.Metadata", {"value": match})
    return _custom(name, source, f"{name}_matcher", matcher)


def expression(parsed: Fields) -> Fields:
    """On a CEL expression over the request's attributes; `parsed` is a cel.expr.ParsedExpr."""
    source = pack("xds.type.matcher.v3.HttpAttributesCelMatchInput")
    matcher = pack("xds.type.matcher.v3.CelMatcher", {"expr_match": {"cel_expr_parsed": parsed}})
    return _custom("cel", source, "cel_matcher", matcher)


def _custom(name: str, source: Fields, matcher_name: str, matcher: Fields) -> Fields:
    return {
        "single_predicate": {
            "input": {"name": name, "typed_config": source},
            "custom_match": {"name": matcher_name, "typed_config": matcher},
        }
    }
