"""Rate limits from a policy's rules. What one rule says wrong makes the whole limit void: half of a limit is no limit."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeVar

from shared.features.parts.faults import Faults
from shared.features.parts.regex import quoted, regex_fault
from shared.features.traffic.rate_limit.ir import (
    CidrMatch,
    GlobalRateLimit,
    LocalRateLimit,
    MetadataValue,
    RateLimit,
    RateLimitCost,
    RateLimitRule,
    RateLimitValue,
)
from shared.features.traffic.rate_limit.spec import (
    ClientSelector,
    CostSpecifier,
    HeaderSelector,
    LimitSpec,
    PathSelector,
    QuerySelector,
    RateLimitRules,
    RateLimitRuleSpec,
    RateLimitSpec,
    SourceSelector,
)
from shared.ir.match import StringMatch

T = TypeVar("T")
SECONDS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400, "Week": 604800, "Month": 2592000, "Year": 31536000}
UNLIMITED = (1 << 32) - 1


class _Void(Exception):
    """A rule that cannot be carried out; the text says why."""


def translate(spec: RateLimitSpec | None, policy: str, faults: Faults, *, service: bool) -> RateLimit | None:
    """`policy` is `<namespace>/<name>`, after which rules are named; `service`: whether there is one that counts for all proxies."""
    if spec is None:
        return None
    try:
        if spec.type is not None and (spec.global_ if spec.type == "Global" else spec.local) is None:
            raise _Void(f"{spec.type.lower()} configuration empty for rateLimit")
        counted_here = _local(spec.local, policy) if spec.local is not None and spec.type != "Global" else None
        counted_for_all = _global(spec.global_, policy, service) if spec.global_ is not None and spec.type != "Local" else None
    except _Void as e:
        faults.inside("RateLimit").add(str(e))
        return None
    return RateLimit(global_=counted_for_all, local=counted_here)


def _global(spec: RateLimitRules, policy: str, service: bool) -> GlobalRateLimit:
    if not service:
        raise _Void("enable Ratelimit in the EnvoyGateway config to configure global rateLimit")
    return GlobalRateLimit(rules=tuple(_rule(rule, f"{policy}/rule/{n}") for n, rule in enumerate(spec.rules)))


def _local(spec: RateLimitRules, policy: str) -> LocalRateLimit:
    """Envoy wants a limit for whatever no rule matches: the one without selectors, or none at all."""
    general = [rule for rule in spec.rules if not rule.client_selectors]
    if len(general) > 1:
        raise _Void("local rateLimit can not have more than one rule without clientSelectors")
    default = _limit(general[0].limit) if general else RateLimitValue(requests=UNLIMITED, unit="Second")
    if any(SECONDS[rule.limit.unit] % SECONDS[default.unit] for rule in spec.rules):
        raise _Void("local rateLimit rule limit unit must be a multiple of the default limit unit")
    return LocalRateLimit(
        default=RateLimitValue(requests=default.requests, unit=default.unit),
        rules=tuple(_rule(rule, f"{policy}/rule/{n}") for n, rule in enumerate(spec.rules) if rule.client_selectors),
        default_x_rate_limit_option=general[0].x_rate_limit_headers if general else None,
    )


def _rule(spec: RateLimitRuleSpec, name: str) -> RateLimitRule:
    selectors = spec.client_selectors
    if any(not (s.headers or s.methods or s.path or s.source_cidr or s.query_params) for s in selectors):
        raise _Void("a client selector must have at least one of headers, methods, path, sourceCIDR or queryParams")
    return RateLimitRule(
        name=name,
        header_matches=tuple(_header(h) for s in selectors for h in s.headers),
        method_matches=tuple(StringMatch(exact=m.value, invert=m.invert) for s in selectors for m in s.methods),
        path_match=_last(selectors, lambda s: _path(s.path) if s.path is not None else None),
        cidr_match=_last(selectors, lambda s: _source(s.source_cidr) if s.source_cidr is not None else None),
        query_param_matches=tuple(_query(q) for s in selectors for q in s.query_params),
        limit=_limit(spec.limit),
        request_cost=_cost(spec.cost.request) if spec.cost is not None else None,
        response_cost=_cost(spec.cost.response) if spec.cost is not None else None,
        shared=spec.shared,
        shadow_mode=spec.shadow_mode,
        x_rate_limit_option=spec.x_rate_limit_headers,
    )


def _last(selectors: tuple[ClientSelector, ...], read: Callable[[ClientSelector], T | None]) -> T | None:
    """Of what a rule can have but once, the last that is given."""
    found = [value for each in selectors if (value := read(each)) is not None]
    return found[-1] if found else None


def _limit(spec: LimitSpec) -> RateLimitValue:
    source = spec.from_metadata
    of = MetadataValue(namespace=source.namespace, key=source.key) if source is not None else None
    return RateLimitValue(requests=spec.requests, unit=spec.unit, from_metadata=of)


def _cost(spec: CostSpecifier | None) -> RateLimitCost | None:
    if spec is None:
        return None
    of = spec.metadata
    return RateLimitCost(number=spec.number, format=f"%DYNAMIC_METADATA({of.namespace}:{of.key})%" if of is not None else None)


def _regex(pattern: str) -> str:
    if (fault := regex_fault(pattern)) is not None:
        raise _Void(fault)
    return pattern


def _header(spec: HeaderSelector) -> StringMatch:
    if spec.type in (None, "Exact") and spec.value is not None:
        return StringMatch(name=spec.name, exact=spec.value, invert=spec.invert)
    if spec.type == "RegularExpression" and spec.value is not None:
        return StringMatch(name=spec.name, safe_regex=_regex(spec.value), invert=spec.invert)
    if spec.type != "Distinct" or spec.value is not None:
        raise _Void(f"header {spec.name}: the type is not valid, or the value is missing")
    if spec.invert:
        raise _Void(f"header {spec.name}: invert is not applicable for distinct header match type")
    return StringMatch(name=spec.name, distinct=True)


def _query(spec: QuerySelector) -> StringMatch:
    if spec.type == "Exact" and spec.value:
        return StringMatch(name=spec.name, exact=spec.value, invert=spec.invert)
    if spec.type == "RegularExpression" and spec.value:
        return StringMatch(name=spec.name, safe_regex=_regex(spec.value), invert=spec.invert)
    if spec.type != "Distinct":
        raise _Void(f"query parameter {spec.name}: the type is not valid, or the value is missing")
    if spec.invert or spec.value is not None:
        raise _Void(f"query parameter {spec.name}: value and invert are not applicable for distinct query parameter match type")
    return StringMatch(name=spec.name, distinct=True)


def _path(spec: PathSelector) -> StringMatch:
    """Paths are matched as a header, which knows no prefix that ends at a separator."""
    if spec.type == "PathPrefix" and spec.value == "/":
        return StringMatch(prefix="/", invert=spec.invert)
    if spec.type == "PathPrefix":
        return StringMatch(safe_regex=f"^{quoted(spec.value.removesuffix('/'))}(/.*|\\?.*|#.*|;.*|$)", invert=spec.invert)
    if spec.type == "Exact":
        return StringMatch(exact=spec.value, invert=spec.invert)
    if spec.type == "RegularExpression":
        return StringMatch(safe_regex=_regex(spec.value), invert=spec.invert)
    raise _Void(f"invalid path type {spec.type}")


def _source(spec: SourceSelector) -> CidrMatch:
    try:
        network = ipaddress.ip_network(spec.value, strict=False) if "/" in spec.value else None
    except ValueError:
        network = None
    if network is None:
        raise _Void(f"invalid CIDR address: {spec.value}")
    return CidrMatch(
        cidr=str(network),
        mask_len=network.prefixlen,
        is_ipv6=network.version == 6,
        distinct=spec.type == "Distinct",
        invert=spec.invert,
    )
