"""A route's rules for one Gateway: every match as a route without a hostname, and what could not be translated."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from services.translator.stages.backends import named, upstream
from services.translator.stages.filters import filters_of, lookup_of
from services.translator.stages.matches import Match, Unmatchable, combinations, preflight
from services.translator.stages.metadata import resource_metadata
from services.translator.stages.policies.says import hashes
from services.translator.stages.policies.ways import Way
from services.translator.stages.shared_clusters import merges, shared
from services.translator.stages.streams import destination as stream_destination
from services.translator.stages.streams import invalid_rules
from services.translator.stages.tables import ROUTES
from services.translator.stages.views import view
from shared.api.routes import GrpcRoute, GrpcRouteRule, HttpBackendRef, HttpRoute, HttpRouteRule, StreamRoute
from shared.core.refs import ObjectRef
from shared.features.parts.filters import Filters
from shared.features.parts.problem import ACCEPTED, UNSUPPORTED_VALUE, Problem, not_accepted, unresolved
from shared.features.route.direct_response.ir import DirectResponse
from shared.features.route.retry.translate import retry
from shared.features.route.session_persistence.translate import session
from shared.features.route.timeouts.translate import timeout
from shared.incremental import Db, query
from shared.ir.destination import BackendCluster, BackendFilters, Destination, DestinationSetting
from shared.ir.http import HttpRoute as HttpRouteIr
from shared.ir.match import StringMatch
from shared.ir.metadata import ResourceMetadata
from shared.ir.shards import extension_key
from shared.ir.unstructured import UnstructuredRef

_KEPT_REASONS = ("NotAllowedByListeners", "NoMatchingListenerHostname", "NoMatchingParent", UNSUPPORTED_VALUE)
_IN_BACKEND_REF = {
    "HTTPRoute": ("RequestHeaderModifier", "ResponseHeaderModifier", "ExtensionRef", "URLRewrite"),
    "GRPCRoute": ("RequestHeaderModifier", "ResponseHeaderModifier"),
}
Rule = HttpRouteRule | GrpcRouteRule


class Rules(msgspec.Struct, frozen=True):
    """`unaccepted` are the numbers of the rules that were dropped; `endpoints` the keys whose absence is worth a condition.

    Routes of HTTP and gRPC come to `routes`, all others to one `destination`. `clusters` are those shared with other routes.
    """

    count: int = 0
    routes: tuple[HttpRouteIr, ...] = ()
    destination: Destination | None = None
    problems: tuple[Problem, ...] = ()
    unaccepted: tuple[int, ...] = ()
    endpoints: tuple[str, ...] = ()
    clusters: tuple[BackendCluster, ...] = ()
    extensions: tuple[str, ...] = ()
    """Keys of the shards of extension servers' objects that the rules refer to."""

    @property
    def refused(self) -> bool:
        """Whether no rule was accepted."""
        return bool(self.unaccepted) and len(self.unaccepted) == self.count


class _Backends(msgspec.Struct, frozen=True):
    settings: tuple[DestinationSetting, ...] = ()
    names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    clusters: tuple[BackendCluster, ...] = ()
    extensions: tuple[str, ...] = ()
    """Keys of the shards of extension servers' objects that stand for backends."""


@query
def rules(db: Db, route: ObjectRef, gateway: ObjectRef, ways: tuple[Way, ...] = ()) -> Rules:
    """All rules of a route as this Gateway serves them, at listeners where they go those ways; () is how the Gateway sends them."""
    row = db.get(ROUTES, route)
    if row is None:
        return Rules()
    if isinstance(row, StreamRoute):
        return _stream(db, route, row, gateway, ways)
    routes: list[HttpRouteIr] = []
    problems: list[Problem] = []
    unaccepted: list[int] = []
    clusters: dict[str, BackendCluster] = {}
    specs: tuple[Rule, ...] = row.spec.rules
    for i, rule in enumerate(specs):
        made, faults, used = _rule(db, route, row, gateway, i, rule, ways[i] if ways else Way())
        routes += made
        problems += faults
        clusters.update((c.name, c) for c in used)
        if any(p.condition == ACCEPTED for p in faults):
            unaccepted.append(i)
    keys = {s.endpoints_ref for r in routes for d in _destinations(r) for s in d.settings if s.endpoints_ref}
    return Rules(
        count=len(specs),
        routes=tuple(routes),
        problems=tuple(problems),
        unaccepted=tuple(unaccepted),
        endpoints=tuple(sorted(keys)),
        clusters=tuple(clusters.values()),
        extensions=tuple(dict.fromkeys(each.ref for r in routes for each in r.extension_refs)),
    )


def _stream(db: Db, route: ObjectRef, row: StreamRoute, gateway: ObjectRef, ways: tuple[Way, ...]) -> Rules:
    problem = invalid_rules(route, row)
    if problem is not None:
        count = max(len(row.spec.rules), 1)
        return Rules(count=count, problems=(problem,), unaccepted=tuple(range(count)))
    destination, problems, clusters = stream_destination(db, route, row, gateway, ways)
    keys = {s.endpoints_ref for s in destination.settings if s.endpoints_ref}
    return Rules(count=len(row.spec.rules), destination=destination, problems=problems, endpoints=tuple(sorted(keys)), clusters=clusters)


def _destinations(route: HttpRouteIr) -> Iterator[Destination]:
    if route.destination is not None:
        yield route.destination
    yield from (m.destination for m in route.mirrors)


def _rule(
    db: Db, route: ObjectRef, row: HttpRoute | GrpcRoute, gateway: ObjectRef, index: int, rule: Rule, way: Way
) -> tuple[list[HttpRouteIr], list[Problem], tuple[BackendCluster, ...]]:
    name = f"{route.kind.lower()}/{route.namespace}/{route.name}/rule/{index}"
    meta = resource_metadata(route.kind, row.metadata, rule.name or "")
    filters = filters_of(rule.filters, lookup_of(db, route, gateway, name, way.by_address), route.kind)
    problems = list(filters.problems)
    try:
        routes = list(_matched(name, meta, rule, filters))
    except Unmatchable as e:
        reason = e.problem.reason if e.problem.reason in _KEPT_REASONS else UNSUPPORTED_VALUE
        return [], [*problems, not_accepted(f"failed to process route rule {index}: {e.problem.message}", reason)], ()
    backends = _backends(db, route, gateway, name, rule, way)
    problems += [replace(p, message=f"failed to process route rule {index} {p.message}") for p in backends.problems]
    answer, problem = _own_answer(filters, backends, rule, index)
    if problem is not None:
        problems.append(problem)
    destination = Destination(
        name=name, stat_name=_stat_name(db, route, gateway, rule, index, backends.names), settings=backends.settings, metadata=meta
    )
    # a filter that failed answers in place of a redirect, but a GRPCRoute's filter that answers itself has answered
    forced = bool(filters.problems) and route.kind == "HTTPRoute"
    made = [_answered(_extended(r, backends.extensions), answer, destination, forced) for r in routes]
    return made, problems, backends.clusters if any(r.destination is not None for r in made) else ()


def _extended(route: HttpRouteIr, keys: tuple[str, ...]) -> HttpRouteIr:
    """The route with its custom backends beside its filters: whoever is asked about it is told of both."""
    return replace(route, extension_refs=(*route.extension_refs, *(UnstructuredRef(ref=key) for key in keys))) if keys else route


def _answered(route: HttpRouteIr, answer: int | None, destination: Destination, forced: bool) -> HttpRouteIr:
    own = route.direct_response is not None or route.redirect is not None
    if answer is not None and (forced or not own):
        return replace(route, direct_response=DirectResponse(status_code=answer))
    return route if own else replace(route, destination=destination)


def _own_answer(filters: Filters, backends: _Backends, rule: Rule, index: int) -> tuple[int | None, Problem | None]:
    """The status that the proxy must answer whatever endpoints there are; what endpoints decide is decided in `assemble`."""
    if filters.problems:
        return 500, None
    if all(s.invalid for s in backends.settings):
        return 500, None
    if any(s.is_dynamic_resolver for s in backends.settings):
        host = filters.url_rewrite.host if filters.url_rewrite is not None else None
        if host is not None and host.path_regex is not None:
            text = "host rewrite from path (PathRegex) is not supported with a dynamic resolver backend"
            return 500, unresolved(f"failed to process route rule {index}: {text}", UNSUPPORTED_VALUE)
        if len(rule.backend_refs) > 1:
            text = "dynamic resolver is not supported for multiple backendRefs"
            return 500, unresolved(f"failed to process route rule {index}: {text}", "InvalidBackendRef")
    return None, None


def _matched(name: str, meta: ResourceMetadata, rule: Rule, filters: Filters) -> Iterator[HttpRouteIr]:
    """The rule's matches with everything but their destination. Raises Unmatchable."""
    persistence, problem = session(rule.session_persistence, name)
    if problem is not None:
        raise Unmatchable(problem.message)
    base = HttpRouteIr(
        name=f"{name}/match/-1",
        metadata=meta,
        add_request_headers=filters.add_request_headers,
        remove_request_headers=filters.remove_request_headers,
        add_response_headers=filters.add_response_headers,
        remove_response_headers=filters.remove_response_headers,
        redirect=filters.redirect,
        direct_response=filters.direct_response,
        url_rewrite=filters.url_rewrite,
        mirrors=filters.mirrors,
        cors=filters.cors,
        credential_injection=filters.credential_injection,
        is_http2=isinstance(rule, GrpcRouteRule),
        extension_refs=tuple(UnstructuredRef(ref=key) for key in filters.extensions),
    )
    if isinstance(rule, HttpRouteRule):
        tries = retry(rule.retry, rule.timeouts.backend_request if rule.timeouts is not None else None)
        base = replace(base, timeout=timeout(rule.timeouts, rule.retry is not None), retry=tries)
    matches = tuple(combinations(rule.matches, filters))
    if not matches:
        yield base
    for i, (match, cookies) in enumerate(matches):
        at = f"{name}/match/{i}"
        yield replace(_with(base, match, cookies), name=at, session_persistence=persistence)
        if filters.cors is not None and match.method not in (None, "OPTIONS") and not cookies:
            yield HttpRouteIr(
                name=f"{at}/cors-preflight",
                metadata=meta,
                path_match=match.path,
                header_matches=preflight(match),
                query_param_matches=match.query_params,
                cors=filters.cors,
            )


def _with(base: HttpRouteIr, match: Match, cookies: tuple[StringMatch, ...]) -> HttpRouteIr:
    return replace(
        base, path_match=match.path, header_matches=match.headers, query_param_matches=match.query_params, cookie_matches=cookies
    )


def _backends(db: Db, route: ObjectRef, gateway: ObjectRef, name: str, rule: Rule, way: Way) -> _Backends:
    refs = rule.backend_refs
    settings: list[DestinationSetting] = []
    problems: list[Problem] = []
    names: list[str] = []
    extensions: list[str] = []
    for i, ref in enumerate(refs):
        setting, problem, used = _setting(db, route, gateway, f"{name}/backend/{i}", ref, way)
        extensions += used
        if problem is not None:
            problems.append(replace(problem, message=f"backendRef {i}: {problem.message}"))
        names.append(f"{ref.namespace or route.namespace}/{ref.name}" if ref.weight else "")
        settings.append(setting)
    clusters: list[BackendCluster] = []
    if not way.own and merges(db, gateway) and not _bound_together(rule, settings, hashes(db, gateway)):
        found = [shared(db, gateway, ref, route.namespace, setting) for ref, setting in zip(refs, settings, strict=True)]
        settings = [each.setting for each in found]
        clusters = [each.cluster for each in found if each.cluster is not None]
    kept = tuple(s for s in settings if s.weight)
    return _Backends(kept, tuple(names), tuple(problems), tuple(clusters), tuple(dict.fromkeys(extensions)))


def _bound_together(rule: Rule, settings: list[DestinationSetting], hashed: bool) -> bool:
    """Whether several backends must stay in one cluster: sessions stick to one of them, or one stands in for another."""
    return len(settings) > 1 and (hashed or rule.session_persistence is not None or any(s.priority for s in settings))


def _setting(
    db: Db, route: ObjectRef, gateway: ObjectRef, name: str, ref: HttpBackendRef, way: Way
) -> tuple[DestinationSetting, Problem | None, tuple[str, ...]]:
    """A backendRef's setting, what is wrong with it, and the shards of extension servers' objects that it uses."""
    invalid = DestinationSetting(name=name, weight=ref.weight, invalid=True)
    if (problem := _filters_fault(ref, route.kind)) is not None:
        return invalid, problem, ()
    found = upstream(db, ref, route.namespace, route.kind, gateway, way.by_address)
    if found.setting is None:
        return invalid, found.problem, ()
    setting = named(found.setting, name, ref.weight)
    if not ref.weight:
        return setting, None, ()
    used = (extension_key(found.extension),) if found.extension is not None else ()
    if not ref.filters:
        return setting, None, used
    filters = filters_of(ref.filters, lookup_of(db, route, gateway, name), route.kind)
    if filters.problems:
        return invalid, unresolved("\n".join(p.message for p in filters.problems), "InvalidBackendFilters"), ()
    own = BackendFilters(
        add_request_headers=filters.add_request_headers,
        remove_request_headers=filters.remove_request_headers,
        add_response_headers=filters.add_response_headers,
        remove_response_headers=filters.remove_response_headers,
        url_rewrite=filters.url_rewrite,
        credential_injection=filters.credential_injection,
    )
    return replace(setting, filters=own if own != BackendFilters() else None), None, (*used, *filters.extensions)


def _filters_fault(ref: HttpBackendRef, kind: str) -> Problem | None:
    for each in ref.filters:
        if each.type == "URLRewrite" and each.url_rewrite is not None and each.url_rewrite.path is not None:
            return unresolved("URLRewrite path modifier is not supported within BackendRef", "UnsupportedRefValue")
    if any(each.type not in _IN_BACKEND_REF[kind] for each in ref.filters):
        supported = ", ".join(_IN_BACKEND_REF[kind])
        text = f"Specific filter is not supported within BackendRef, only {supported} are supported"
        return unresolved(text, "UnsupportedRefValue")
    return None


def _stat_name(db: Db, route: ObjectRef, gateway: ObjectRef, rule: Rule, index: int, names: tuple[str, ...]) -> str | None:
    seen = view(db, gateway)
    if seen is None or not seen.stat_name:
        return None
    values = {
        "%ROUTE_NAME%": route.name,
        "%ROUTE_NAMESPACE%": route.namespace,
        "%ROUTE_KIND%": route.kind.lower(),
        "%ROUTE_RULE_NAME%": rule.name if rule.name is not None else "-",
        "%ROUTE_RULE_NUMBER%": str(index),
        "%BACKEND_REFS%": "|".join(names),
    }
    text = seen.stat_name
    for operator, value in values.items():
        text = text.replace(operator, value)
    return text
