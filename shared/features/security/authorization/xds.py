"""Authorization in Envoy: an RBAC filter on the listener that forbids nothing, and a matcher over all rules on each route that has some."""

from __future__ import annotations

import functools
import re

from shared.features.parts import cel_tree, predicates
from shared.features.parts.per_route import Shared
from shared.features.parts.xds_values import Unrenderable
from shared.features.security.authorization import places
from shared.features.security.authorization.ir import Authorization, AuthorizationRule, CidrMatch, JwtPrincipal, PathOperation
from shared.features.security.authorization.places import predicates_of
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.rbac"
NETWORK_NAME = "envoy.filters.network.rbac"
_HTTP = "envoy.extensions.filters.http.rbac.v3"
_META = re.compile(r"([\\.+*?()|\[\]{}^$])")
_ACTIONS = {action: pack("envoy.config.rbac.v3.Action", {"name": action.upper(), "action": action.upper()}) for action in ("Allow", "Deny")}


def _action(name: str, action: str) -> Fields:
    # what is not known denies
    return {"action": {"name": name, "typed_config": _ACTIONS["Allow" if action == "Allow" else "Deny"]}}


def _matcher(of: Authorization, rules: list[Fields]) -> Fields:
    out: Fields = {"on_no_match": _action("default", of.default_action)}
    return out | ({"matcher_list": {"matchers": rules}} if rules else {})


def _rule(rule: AuthorizationRule, wanted: list[Fields]) -> Fields:
    if not wanted:
        raise Unrenderable(f"authorization rule {rule.name} says nothing about whom it is for")
    # a rule without an action of its own allows
    action = "Deny" if rule.action == "Deny" else "Allow"
    return {"predicate": predicates.all_of(wanted)[0], "on_match": _action(rule.name, action)}


def _wanted(rule: AuthorizationRule) -> list[Fields]:
    """All that must hold for the rule to match."""
    operation, principal = rule.operation, rule.principal
    out: list[Fields] = []
    if operation is not None:
        methods = [predicates.header(":method", {"exact": m, "ignore_case": True}) for m in operation.methods]
        out += predicates.any_of(methods)
        out += [_path(operation.path)] if operation.path is not None else []
    out += _addresses(principal.client_cidrs)
    out += predicates_of(principal.client_ip_geo_locations)
    out += [_expression(rule.cel)] if rule.cel is not None else []
    out += _token(principal.jwt) if principal.jwt is not None else []
    for header in principal.headers:
        out += predicates.any_of([predicates.header(header.name, {"exact": v}) for v in header.values])
    return out


def _expression(text: str) -> Fields:
    try:
        return predicates.expression(cel_tree.parsed(text))
    except (ValueError, OverflowError, SyntaxError) as e:
        raise Unrenderable(str(e)) from None


def _addresses(networks: tuple[CidrMatch, ...]) -> list[Fields]:
    if not networks:
        return []
    return [predicates.client_address((n.cidr.partition("/")[0], n.mask_len) for n in networks)]


def _path(of: PathOperation) -> Fields:
    """On the path with its query, so that each way of matching ends where the path does."""
    if of.type == "RegularExpression":
        match = predicates.regex(of.value)
    elif of.type == "Exact":
        match = predicates.regex(f"^{_literal(of.value)}(\\?.*|#.*|;.*|$)")
    elif of.value == "/":
        match = {"prefix": "/"}
    else:
        match = predicates.regex(f"^{_literal(of.value.removesuffix('/'))}(/.*|\\?.*|#.*|;.*|$)")
    predicate = predicates.header(":path", match)
    return predicates.negated(predicate) if of.invert else predicate


def _literal(text: str) -> str:
    return _META.sub(r"\\\1", text)


def _token(of: JwtPrincipal) -> list[Fields]:
    """All scopes and all claims; of a claim any value."""
    out: list[Fields] = []
    for scope in of.scopes:
        out += predicates.any_of([predicates.claim("scope", of.provider, (key,), scope, in_list=True) for key in ("scope", "scp")])
    for claim in of.claims:
        path, in_list = claim.name.split("."), claim.value_type == "StringArray"
        out += predicates.any_of([predicates.claim("claim", of.provider, path, value, in_list=in_list) for value in claim.values])
    return out


@functools.lru_cache(maxsize=1024)
def _per_route(of: Authorization) -> Fields:
    rules = [_rule(r, _wanted(r)) for r in of.rules]
    return pack(f"{_HTTP}.RBACPerRoute", {"rbac": {"matcher": _matcher(of, rules)}})


def _of(route: HttpRoute) -> Authorization | None:
    return route.security.authorization if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route, or a piece of the one that looks up where clients are."""
    own = {NAME: {"name": NAME, "typed_config": pack(f"{_HTTP}.RBAC")}} if _of(route) is not None else {}
    return own | places.filters(route)


SHARED: Shared = {places.NAME: lambda of, pieces, _: {places.NAME: places.whole(of, pieces)}}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the rules of this route."""
    of = _of(route)
    return {NAME: _per_route(of)} if of is not None else {}


def network_filters(of: Authorization | None, stat_prefix: str) -> list[Fields]:
    """Network filters of a filter chain of connections.

    Only clients' addresses can be looked at: what else a rule wants to be known counts as not so if it would let somebody in,
    and as so if it would keep somebody out.
    """
    if of is None:
        return []
    rules: list[Fields] = []
    for rule in of.rules:
        addresses = _addresses(rule.principal.client_cidrs)
        denies = rule.action == "Deny"
        if denies and not addresses:
            of = Authorization(default_action="Deny")
            break
        if addresses and (denies or not _wants_more(rule)):
            rules.append(_rule(rule, addresses))
    config = pack("envoy.extensions.filters.network.rbac.v3.RBAC", {"stat_prefix": stat_prefix, "matcher": _matcher(of, rules)})
    return [{"name": NETWORK_NAME, "typed_config": config}]


def _wants_more(rule: AuthorizationRule) -> bool:
    who = rule.principal
    return bool(rule.cel or rule.operation or who.jwt or who.headers or who.client_ip_geo_locations)
