"""What a rule matches, as IR. A match that Envoy would refuse makes its rule unacceptable, never a push fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from shared.api.routes import CookieMatch, GrpcMethodMatch, GrpcRouteMatch, HttpRouteMatch, NamedMatch
from shared.features.parts.filters import Filters
from shared.features.parts.problem import Problem, not_accepted
from shared.features.parts.regex import regex_fault
from shared.ir.match import StringMatch

_ANY_SERVICE = r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*"
_ANY_METHOD = "[A-Za-z_][A-Za-z_0-9]*"


class Match(msgspec.Struct, frozen=True):
    path: StringMatch | None = None
    headers: tuple[StringMatch, ...] = ()
    query_params: tuple[StringMatch, ...] = ()
    method: str | None = None


class Unmatchable(Exception):
    """A match that cannot be translated."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problem: Problem = not_accepted(text)


def _checked(pattern: str) -> str:
    if fault := regex_fault(pattern):
        raise Unmatchable(fault)
    return pattern


def _string(spec: NamedMatch | CookieMatch, what: str) -> StringMatch:
    if spec.type == "Exact":
        return StringMatch(name=spec.name, exact=spec.value)
    if spec.type == "RegularExpression":
        return StringMatch(name=spec.name, safe_regex=_checked(spec.value))
    raise Unmatchable(f"unsupported {what} match type {spec.type!r}")


def _path(kind: str, value: str) -> StringMatch:
    if kind == "PathPrefix":
        return StringMatch(prefix=value)
    if kind == "Exact":
        return StringMatch(exact=value)
    if kind == "RegularExpression":
        return StringMatch(safe_regex=_checked(value))
    raise Unmatchable(f"unsupported path match type {kind!r}")


def match_of(spec: HttpRouteMatch | GrpcRouteMatch) -> Match:
    """Raises Unmatchable."""
    headers = [_string(h, "header") for h in spec.headers]
    if isinstance(spec, GrpcRouteMatch):
        path, suffix = _grpc_path(spec.method) if spec.method is not None else (None, ())
        return Match(path=path, headers=(*headers, *suffix))
    if spec.method is not None:
        headers.append(StringMatch(name=":method", exact=spec.method))
    return Match(
        path=_path(spec.path.type, spec.path.value) if spec.path is not None else None,
        headers=tuple(headers),
        query_params=tuple(_string(q, "query parameter") for q in spec.query_params),
        method=spec.method,
    )


def _grpc_path(spec: GrpcMethodMatch) -> tuple[StringMatch | None, tuple[StringMatch, ...]]:
    """A gRPC request's path is `/<service>/<method>`. A method alone is a suffix, which Envoy has for headers only."""
    service, method = spec.service, spec.method
    if spec.type == "RegularExpression":
        if service is None and method is None:
            return None, ()
        parts = (_checked(service) if service is not None else _ANY_SERVICE, _checked(method) if method is not None else _ANY_METHOD)
        return StringMatch(safe_regex="/{}/{}".format(*parts)), ()
    if spec.type != "Exact":
        raise Unmatchable(f"unsupported method match type {spec.type!r}")
    if service is not None:
        return (StringMatch(exact=f"/{service}/{method}") if method is not None else StringMatch(prefix=f"/{service}")), ()
    return None, (StringMatch(name=":path", suffix=f"/{method}"),) if method is not None else ()


def cookies_of(spec: Iterable[CookieMatch]) -> tuple[StringMatch, ...]:
    """Raises Unmatchable."""
    return tuple(_string(c, "cookie") for c in spec)


def combinations(specs: tuple[HttpRouteMatch | GrpcRouteMatch, ...], filters: Filters) -> Iterator[tuple[Match, tuple[StringMatch, ...]]]:
    """Every match of the rule with every cookie match of its filters; nothing where the rule matches all."""
    if not specs and not filters.cookie_matches:
        return
    for spec in specs or (HttpRouteMatch(),):
        made = match_of(spec)
        for cookies in filters.cookie_matches or ((),):
            yield made, cookies


def preflight(match: Match) -> tuple[StringMatch, ...]:
    """The headers of a CORS preflight request for what this match serves."""
    rest = tuple(h for h in match.headers if h.name != ":method")
    any_value = ".*"
    return (
        *rest,
        StringMatch(name=":method", exact="OPTIONS"),
        StringMatch(name="origin", safe_regex=any_value),
        StringMatch(name="access-control-request-method", safe_regex=any_value),
    )
