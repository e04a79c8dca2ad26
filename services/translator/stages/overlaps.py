"""Routes of one listener that match exactly the same requests: only the oldest gets them, and the others are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from services.translator.stages.attach import At, Attachment, attachments
from services.translator.stages.policies.ways import Place, connects
from services.translator.stages.rules import rules
from services.translator.stages.tables import ROUTES
from shared.core.refs import GatewayRef, ObjectRef
from shared.incremental import Collection, Db
from shared.ir.http import HttpRoute
from shared.ir.match import StringMatch

Key = tuple[GatewayRef, str, bytes]
_MOST_NAMES = 10


def _string(match: StringMatch, fold_name: bool = False) -> str:
    name = match.name.lower() if fold_name else match.name
    return repr((name, match.exact, match.prefix, match.suffix, match.safe_regex, match.distinct, match.invert))


def _path(match: StringMatch | None) -> str:
    if match is None:
        return _string(StringMatch(prefix="/"))
    if match.prefix is None or match.prefix == "/":
        return _string(match)
    return _string(StringMatch(name=match.name, prefix=match.prefix.removesuffix("/")))


def _all(matches: Iterable[StringMatch], fold_name: bool = False) -> str:
    return "\1".join(sorted(_string(m, fold_name) for m in matches))


def matches_key(route: HttpRoute, connects: bool = False) -> str:
    """Equal for two routes that match the same requests; the hostname is not part of it. `connects`: it takes CONNECT requests alone."""
    return "\2".join(
        (
            "CONNECT" if connects else _path(route.path_match),
            _all(route.header_matches, True),
            _all(route.query_param_matches),
            _all(route.cookie_matches),
        )
    )


def _keys(db: Db, route: ObjectRef, each: Attachment) -> list[Key]:
    routes = rules(db, route, each.gateway).routes
    return [
        (each.fleet, at.point.key, blake2b(f"{host}\3{text}".encode(), digest_size=12).digest())
        for at in each.at
        if at.point.ready
        for text in _texts(db, route, each.gateway, at, routes)
        for host in at.hosts
    ]


def _texts(db: Db, route: ObjectRef, gateway: ObjectRef, at: At, routes: tuple[HttpRoute, ...]) -> set[str]:
    """What a route's matches come to at one listener, whose policies may make CONNECT of them."""
    place = Place(at.point.owner, at.point.name)
    rules = {r.metadata.section_name for r in routes if r.metadata is not None}
    tunnels = {rule for rule in rules if connects(db, route, rule, gateway, place)}
    return {matches_key(r, r.metadata is not None and r.metadata.section_name in tunnels) for r in routes}


def _buckets(db: Db, route: ObjectRef) -> Mapping[Key, bool]:
    return {key: True for each in attachments(db, route) for key in _keys(db, route, each)}


OVERLAPS: Collection[Key, bool] = Collection("overlaps", source=ROUTES, fn=_buckets)
"""Routes by what exactly they match on a listener."""


def overlap_text(db: Db, route: ObjectRef, each: Attachment) -> str | None:
    """Names the other routes (ten at most) that match the same requests on this parent; None where there are none."""
    others = sorted({str(other) for key in _keys(db, route, each) for other in db.group(OVERLAPS, key) if other != route})
    if not others:
        return None
    names = ", ".join(others[:_MOST_NAMES])
    more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
    return f"Overlapping match conditions with route(s): {names}{more}"
