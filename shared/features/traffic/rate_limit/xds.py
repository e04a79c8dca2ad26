"""Rate limits in Envoy: filters on the listener that do nothing by themselves, and what is counted on each route.

Rules are named by their number among those of their domain; the same names stand in the service's configuration (service.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from shared.features.parts.listener_traits import ListenerTraits
from shared.features.parts.per_route import Shared, piece
from shared.features.parts.xds_values import Unrenderable, duration, given, string_matcher, wrapped
from shared.features.traffic.rate_limit.ir import (
    CidrMatch,
    GlobalRateLimit,
    LocalRateLimit,
    RateLimit,
    RateLimitCost,
    RateLimitRule,
    RateLimitService,
    RateLimitValue,
)
from shared.ir.http import HttpListener, HttpRoute
from shared.ir.match import StringMatch
from shared.xds.message import Fields, pack

LOCAL = "envoy.filters.http.local_ratelimit"
GLOBAL = "envoy.filters.http.ratelimit"
CLUSTER = "ratelimit_cluster"
MASKED_ADDRESS, ADDRESS = "masked_remote_address", "remote_address"
_DOMAINS = "domains"
_LOCAL_MESSAGE = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_GLOBAL_MESSAGE = "envoy.extensions.filters.http.ratelimit.v3.RateLimit"
_PER_ROUTE_MESSAGE = "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute"
_STAT_PREFIX = "http_local_rate_limiter"
_MOST_CLIENTS = 10000
_OPTIONS = {"Off": "OFF", "DraftVersion03": "DRAFT_VERSION_03"}
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}


def _limits(route: HttpRoute) -> RateLimit:
    found = route.traffic.rate_limit if route.traffic is not None else None
    return found if found is not None else RateLimit()


def domain_of(rule: RateLimitRule, listener: str) -> str:
    """Whose counters a rule uses: the listener's, or where it is shared those of its policy."""
    return rule.name.rpartition("/rule/")[0] if rule.shared else listener


def numbered(limits: GlobalRateLimit) -> Iterator[tuple[int, RateLimitRule]]:
    """Rules with their numbers: shared ones are counted for themselves."""
    seen = {True: 0, False: 0}
    for rule in limits.rules:
        yield seen[bool(rule.shared)], rule
        seen[bool(rule.shared)] += 1


def entry(rule: int, match: int) -> str:
    """The name of a match in a rule; -1 stands for everything."""
    return f"rule-{rule}-match-{match}"


def entry_of(rule: int, what: str) -> str:
    return f"rule-{rule}-{what}"


def cidr_text(match: CidrMatch) -> str:
    return f"invert:{match.cidr}" if match.invert else match.cidr


# on the listener


def filters(route: HttpRoute) -> dict[str, Fields]:
    """What the listener needs because of this route: a filter that counts here, and one for each domain that is counted for all."""
    limits, out = _limits(route), {}
    if limits.local is not None:
        config: Fields = {"stat_prefix": _STAT_PREFIX, "max_dynamic_descriptors": wrapped(_MOST_CLIENTS)}
        out[LOCAL] = {"name": LOCAL, "typed_config": pack(_LOCAL_MESSAGE, config)}
    if limits.global_ is not None:
        domains = {domain_of(rule, "") for rule in limits.global_.rules} | {""}
        out |= {piece(GLOBAL, _DOMAINS, domain): {} for domain in domains}
    return out


def whole(of: HttpListener, pieces: Mapping[str, Mapping[str, Fields]], service: RateLimitService | None) -> Mapping[str, Fields | None]:
    """The filters that ask the service, one for each domain; none where there is no service."""
    if service is None:
        return {}
    headers_off = of.headers is not None and of.headers.disable_rate_limit_headers
    shows_itself = of.headers is not None and of.headers.enable_envoy_headers
    out: dict[str, Fields | None] = {}
    for domain in pieces[_DOMAINS]:
        name = f"{GLOBAL}/{domain}" if domain else GLOBAL
        config = given(
            {
                "domain": domain or of.name,
                "rate_limit_service": {"grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}}, "transport_api_version": "V3"},
                "timeout": duration(service.timeout) if service.timeout is not None else None,
                "disable_x_envoy_ratelimited_header": None if shows_itself else True,
                "enable_x_ratelimit_headers": None if headers_off else "DRAFT_VERSION_03",
                "failure_mode_deny": True if service.fail_closed else None,
            }
        )
        out[name] = {"name": name, "typed_config": pack(_GLOBAL_MESSAGE, config)}
    return out


SHARED: Shared = {GLOBAL: lambda of, pieces, gateway: whole(of, pieces, gateway.rate_limit_service)}


# on a route


def per_route_at(route: HttpRoute, listener: ListenerTraits) -> dict[str, Fields]:
    """Filter name -> Any."""
    if route.destination is None:
        return {}
    limits, out = _limits(route), {}
    if limits.local is not None:
        out[LOCAL] = pack(_LOCAL_MESSAGE, _counted_here(limits.local, listener.tells_limits))
    for domain, counted in rate_limits(route, listener.name).items():
        name = GLOBAL if domain == listener.name else f"{GLOBAL}/{domain}"
        out[name] = pack(_PER_ROUTE_MESSAGE, {"domain": domain, "rate_limits": counted})
    return out


def rate_limits(route: HttpRoute, listener: str) -> dict[str, list[Fields]]:
    """Domain -> route.v3.RateLimit for each rule, and for each of its methods: those share a counter."""
    limits = _limits(route).global_
    out: dict[str, list[Fields]] = {}
    for number, rule in numbered(limits) if limits is not None else ():
        key = rule.name if rule.shared else route.name
        into = out.setdefault(domain_of(rule, listener), [])
        for method in rule.method_matches or (None,):
            actions = [_generic(key), *_actions(number, rule, method, MASKED_ADDRESS, ADDRESS)]
            if not rule.matches:
                actions.append(_generic(entry(number, -1)))
            asked = _asked(rule, actions)
            into.append(asked | _cost(rule.request_cost))
            if rule.response_cost is not None:
                into.append(asked | {"apply_on_stream_done": True} | _cost(rule.response_cost))
    return out


def _asked(rule: RateLimitRule, actions: list[Fields]) -> Fields:
    out: Fields = {"actions": actions}
    if rule.x_rate_limit_option is not None:
        out["x_ratelimit_option"] = _OPTIONS.get(rule.x_rate_limit_option, "UNSPECIFIED")
    source = rule.limit.from_metadata
    if source is not None:
        out["limit"] = {"dynamic_metadata": {"metadata_key": {"key": source.namespace, "path": [{"key": source.key}]}}}
    return out


def _cost(of: RateLimitCost | None) -> Fields:
    if of is None:
        return {}
    return {"hits_addend": given({"number": wrapped(of.number) if of.number is not None else None, "format": of.format})}


def _generic(name: str) -> Fields:
    return {"generic_key": {"descriptor_key": name, "descriptor_value": name}}


def _actions(number: int, rule: RateLimitRule, method: StringMatch | None, masked: str, address: str) -> Iterator[Fields]:
    """What must match, in the order in which the service's descriptors are nested."""
    for n, match in enumerate(rule.header_matches):
        name = entry(number, n)
        if match.distinct:
            yield {"request_headers": {"header_name": match.name, "descriptor_key": name}}
        else:
            yield _header_value(name, match.name, match)
    if method is not None:
        yield _header_value(entry_of(number, "method"), ":method", method)
    if rule.path_match is not None:
        yield _header_value(entry_of(number, "path"), ":path", rule.path_match)
    if rule.cidr_match is not None:
        yield _remote_address(masked, cidr_text(rule.cidr_match), rule.cidr_match)
        if rule.cidr_match.distinct:
            yield _remote_address(address, "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", rule.cidr_match)
    for n, match in enumerate(rule.query_param_matches, len(rule.header_matches)):
        name = entry(number, n)
        if match.distinct:
            yield {"query_parameters": {"query_parameter_name": match.name, "descriptor_key": name}}
        else:
            parameter: Fields = {"name": match.name, "string_match": string_matcher(match)}
            value: Fields = {"descriptor_key": name, "descriptor_value": name, "expect_match": wrapped(not match.invert)}
            yield {"query_parameter_value_match": value | {"query_parameters": [parameter]}}


def _header_value(name: str, header: str, match: StringMatch) -> Fields:
    matcher: Fields = {"name": header, "string_match": string_matcher(match)}
    expected = wrapped(not match.invert)
    return {"header_value_match": {"descriptor_key": name, "descriptor_value": name, "expect_match": expected, "headers": [matcher]}}


def _remote_address(key: str, value: str, match: CidrMatch) -> Fields:
    try:
        prefix = str(ipaddress.ip_network(match.cidr, strict=False).network_address)
    except ValueError as e:
        raise Unrenderable(str(e)) from e
    matcher = given({"ranges": [{"address_prefix": prefix, "prefix_len": wrapped(match.mask_len)}], "invert_match": match.invert or None})
    return {"remote_address_match": {"descriptor_key": key, "descriptor_value": value, "address_matcher": matcher}}


# counted by each proxy


def _counted_here(limits: LocalRateLimit, headers: bool) -> Fields:
    rates: list[Fields] = []
    descriptors: list[Fields] = []
    for number, rule in enumerate(limits.rules):
        for method in rule.method_matches or (None,):
            masked, address = entry_of(number, "masked-remote-address"), entry_of(number, "remote-address")
            actions = list(_actions(number, rule, method, masked, address))
            rate: Fields = {"actions": actions} | _cost(rule.request_cost)
            if rule.x_rate_limit_option is not None:
                rate["x_ratelimit_option"] = _OPTIONS.get(rule.x_rate_limit_option, "UNSPECIFIED")
            rates.append(rate)
            descriptor: Fields = {"entries": [_local_entry(a) for a in actions], "token_bucket": _bucket(rule.limit)}
            descriptors.append(descriptor | ({"shadow_mode": True} if rule.shadow_mode else {}))
    always: Fields = {"default_value": {"numerator": 100}}
    shown = headers and limits.default_x_rate_limit_option != "Off"
    return given(
        {
            "stat_prefix": _STAT_PREFIX,
            "token_bucket": _bucket(limits.default),
            "filter_enabled": always,
            "filter_enforced": always,
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03" if shown else None,
            "descriptors": descriptors or None,
            # who matches a rule is counted there alone
            "always_consume_default_token_bucket": wrapped(False),
            "rate_limits": rates or None,
        }
    )


def _local_entry(action: Fields) -> Fields:
    """The entry that an action gives; one without a value takes each value for itself."""
    (kind, of) = next(iter(action.items()))
    if kind in ("request_headers", "query_parameters") or of.get("descriptor_value", "").startswith("%"):
        return {"key": of["descriptor_key"]}
    return {"key": of["descriptor_key"], "value": of["descriptor_value"]}


def _bucket(limit: RateLimitValue) -> Fields:
    seconds = _SECONDS.get(limit.unit.lower())
    if seconds is None:
        raise Unrenderable(f"rate limit with the unknown unit {limit.unit!r}")
    return {"max_tokens": limit.requests, "tokens_per_fill": wrapped(limit.requests), "fill_interval": {"seconds": seconds}}
