"""What the rate limit service is told: a tree of descriptors for each domain, with the same names as in Envoy's routes (xds.py).

Message: ratelimit.config.ratelimit.v3.RateLimitConfig. A rule is a chain: each match stands within the one before it, the last
has the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.features.parts.xds_values import given
from shared.features.traffic.rate_limit.ir import RateLimitRule
from shared.features.traffic.rate_limit.xds import ADDRESS, MASKED_ADDRESS, cidr_text, domain_of, entry, entry_of, numbered
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

Tree = Mapping[str, Mapping[str, tuple[Fields, ...]]]
"""Domain -> name of a route or shared rule -> descriptors of its rules."""


def tree(routes: Iterable[HttpRoute], listener: str) -> Tree:
    """What the routes of a listener need counted. The same rule of the same name stands once."""
    out: dict[str, dict[str, tuple[Fields, ...]]] = {}
    for route in routes:
        limits = route.traffic.rate_limit if route.traffic is not None else None
        for number, rule in numbered(limits.global_) if limits is not None and limits.global_ is not None else ():
            own = out.setdefault(domain_of(rule, listener), {})
            name = rule.name if rule.shared else route.name
            own[name] = united(own.get(name, ()), (_chain(number, rule),))
    return out


def united(one: tuple[Fields, ...], other: tuple[Fields, ...]) -> tuple[Fields, ...]:
    """Descriptors of both, those that count the same things once."""
    return (*one, *(d for d in other if not any(_same(d, seen) for seen in one)))


def _same(one: Fields, other: Fields) -> bool:
    """Whether two descriptors count the same, whatever their limits."""
    if (one["key"], one.get("value")) != (other["key"], other.get("value")):
        return False
    inner, others = one.get("descriptors", []), other.get("descriptors", [])
    return len(inner) == len(others) and all(_same(a, b) for a, b in zip(inner, others, strict=True))


def config(domain: str, names: Mapping[str, tuple[Fields, ...]]) -> Fields:
    """A RateLimitConfig."""
    return {"name": domain, "domain": domain, "descriptors": [descriptor(name, chains) for name, chains in names.items()]}


def descriptor(name: str, chains: tuple[Fields, ...]) -> Fields:
    """A RateLimitDescriptor: all that is counted under one name."""
    return {"key": name, "value": name, "descriptors": list(chains)}


def _chain(number: int, rule: RateLimitRule) -> Fields:
    limit: Fields = {"requests_per_unit": rule.limit.requests, "unit": rule.limit.unit.upper()}
    links = _links(number, rule)
    chain: Fields = _link(rule, *links[-1]) | {"rate_limit": limit}
    for key, value in reversed(links[:-1]):
        chain = _link(rule, key, value) | {"descriptors": [chain]}
    return chain


def _link(rule: RateLimitRule, key: str, value: str | None) -> Fields:
    return given({"key": key, "value": value, "shadow_mode": True if rule.shadow_mode else None})


def _links(number: int, rule: RateLimitRule) -> list[tuple[str, str | None]]:
    """Keys and values, None where each value is counted for itself."""
    links: list[tuple[str, str | None]] = []
    for n, match in enumerate(rule.header_matches):
        links.append((entry(number, n), None if match.distinct else entry(number, n)))
    if rule.method_matches:
        links.append((entry_of(number, "method"), entry_of(number, "method")))
    if rule.path_match is not None:
        links.append((entry_of(number, "path"), entry_of(number, "path")))
    if rule.cidr_match is not None:
        links.append((MASKED_ADDRESS, cidr_text(rule.cidr_match)))
        if rule.cidr_match.distinct:
            links.append((ADDRESS, None))
    for n, match in enumerate(rule.query_param_matches, len(rule.header_matches)):
        links.append((entry(number, n), None if match.distinct else entry(number, n)))
    return links or [(entry(number, -1), entry(number, -1))]
