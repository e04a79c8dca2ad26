"""The precedence of routes, decided once for everything that joins them: `assemble`, the translator's tests and xds_server.

Gateway API orders the routes of one listener by how specific their match is; equal matches go to the older route object,
then to the alphabet. Envoy takes the first route that matches, so this order is behaviour, not taste.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.ir.http import HttpRoute, HttpRouteShard, RouteOrder
from shared.ir.match import StringMatch
from shared.ir.tcp import TcpRoute, TcpRouteShard
from shared.ir.udp import UdpRoute, UdpRouteShard

MatchKey = tuple[int, int, int, int, int, int, int, int]
_EXACT, _REGEX, _PREFIX = 0, 1, 2


def _path(match: StringMatch | None) -> tuple[int, int]:
    """Rank of the path's kind and its length, both so that less sorts first. No path is the prefix '/', of length 0."""
    if match is None:
        return _PREFIX, 0
    if match.exact is not None:
        return _EXACT, -len(match.exact.encode())
    if match.safe_regex is not None:
        return _REGEX, -len(match.safe_regex.encode())
    if match.prefix is None or match.prefix == "/":
        return _PREFIX, 0
    return _PREFIX, -len(match.prefix.encode())


def _exact(matches: tuple[StringMatch, ...]) -> int:
    return -sum(m.exact is not None for m in matches)


def match_key(route: HttpRoute) -> MatchKey:
    """Sorts the most specific match first: path kind, path length, then headers, cookies and query parameters by number."""
    headers, cookies, params = route.header_matches, route.cookie_matches, route.query_param_matches
    kind, length = _path(route.path_match)
    return (kind, length, -len(headers), _exact(headers), -len(cookies), _exact(cookies), -len(params), _exact(params))


def order_key(order: RouteOrder) -> tuple[int, str, str, str]:
    """Sorts route objects: kind, age (RFC 3339, so text order is time order; none sorts first), namespace, name."""
    return (order.kind_rank, order.created, order.namespace, order.name)


def ordered(shards: Iterable[HttpRouteShard], preserve: bool = False) -> tuple[HttpRoute, ...]:
    """All routes of one listener in the order that Envoy must see; `preserve` keeps the order in which they were written."""
    written = [route for shard in sorted(shards, key=lambda s: order_key(s.order)) for route in shard.routes]
    return tuple(written) if preserve else tuple(sorted(written, key=match_key))


def ordered_tcp(shards: Iterable[TcpRouteShard]) -> tuple[TcpRoute, ...]:
    """The routes that a TLS or TCP listener serves: all its TLSRoutes (kind_rank 0), or else its oldest TCPRoute."""
    found = sorted(shards, key=lambda s: order_key(s.order))
    by_name = [s.route for s in found if s.order.kind_rank == 0]
    return tuple(by_name or [s.route for s in found[:1]])


def chosen_udp(shards: Iterable[UdpRouteShard]) -> UdpRoute | None:
    """The route that a UDP listener serves: its oldest."""
    oldest = min(shards, key=lambda s: order_key(s.order), default=None)
    return oldest.route if oldest is not None else None
