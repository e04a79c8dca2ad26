"""What crosses shards: precedence of routes, endpoints joined, destinations that nobody serves."""

from __future__ import annotations

import pytest

from shared.ir.assemble import assemble, unavailable
from shared.ir.base import IR
from shared.ir.destination import Destination, DestinationSetting, Endpoint, EndpointsShard
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard, RouteOrder
from shared.ir.match import StringMatch
from shared.ir.order import match_key, ordered
from shared.ir.shards import endpoints_key, http_key, http_route_key

REF = endpoints_key("Service", "default", "app", 80)
SERVED = (Endpoint(host="10.0.0.1", port=80),)


def routed(name: str, path: StringMatch | None = None, headers: int = 0, params: int = 0) -> HttpRoute:
    return HttpRoute(
        name=name,
        path_match=path,
        header_matches=tuple(StringMatch(name=f"h{i}", exact="x") for i in range(headers)),
        query_param_matches=tuple(StringMatch(name=f"q{i}", exact="x") for i in range(params)),
    )


def setting(weight: int = 1, ref: str = REF, invalid: bool = False) -> DestinationSetting:
    return DestinationSetting(name="s", weight=weight, endpoints_ref="" if invalid else ref, invalid=invalid)


def whole(*settings: DestinationSetting, endpoints: tuple[Endpoint, ...] = SERVED) -> HttpRoute:
    route = HttpRoute(name="r", destination=Destination(name="d", settings=settings))
    shards: dict[str, IR] = {
        "gateway": GatewayShard(http_listeners=(http_key("http"),)),
        http_key("http"): HttpListener(name="http"),
        http_route_key("http", "HTTPRoute", "default", "app"): HttpRouteShard(order=RouteOrder(), routes=(route,)),
        REF: EndpointsShard(address_type="IP", endpoints=endpoints),
    }
    return assemble(shards).http[0].routes[0]


def test_more_specific_matches_come_first() -> None:
    expected = [
        routed("exact", StringMatch(exact="/a")),
        routed("regex", StringMatch(safe_regex="/a.*")),
        routed("long prefix", StringMatch(prefix="/abc")),
        routed("short prefix", StringMatch(prefix="/ab")),
        routed("two headers", headers=2),
        routed("one header", headers=1),
        routed("a parameter", params=1),
        routed("all"),
    ]
    shuffled = expected[::-1]
    assert [r.name for r in sorted(shuffled, key=match_key)] == [r.name for r in expected]


def test_equal_matches_go_to_the_older_object_then_to_the_alphabet() -> None:
    def shard(name: str, created: str) -> HttpRouteShard:
        return HttpRouteShard(order=RouteOrder(created=created, namespace="d", name=name), routes=(routed(name),))

    shards = [shard("b", "2026-01-02T00:00:00Z"), shard("a", "2026-01-02T00:00:00Z"), shard("z", "2026-01-01T00:00:00Z")]
    assert [r.name for r in ordered(shards)] == ["z", "a", "b"]


def test_order_as_written_is_kept_where_it_is_asked_for() -> None:
    shard = HttpRouteShard(order=RouteOrder(), routes=(routed("all"), routed("exact", StringMatch(exact="/a"))))
    assert [r.name for r in ordered([shard], preserve=True)] == ["all", "exact"]


def test_endpoints_join_the_settings_that_name_them() -> None:
    destination = whole(setting()).destination
    assert destination is not None
    assert destination.settings[0].endpoints == SERVED
    assert destination.settings[0].endpoints_ref == ""


@pytest.mark.parametrize(
    ("settings", "endpoints", "status"),
    [
        ((setting(),), (), 503),
        ((setting(invalid=True),), SERVED, 500),
        ((setting(), setting(invalid=True)), (), 500),
        ((setting(), setting(invalid=True)), SERVED, None),
        ((setting(weight=0),), SERVED, 500),
    ],
)
def test_what_nobody_serves_is_answered(
    settings: tuple[DestinationSetting, ...], endpoints: tuple[Endpoint, ...], status: int | None
) -> None:
    route = whole(*settings, endpoints=endpoints)
    assert (route.direct_response.status_code if route.direct_response else None) == status
    assert (route.destination is None) == (status is not None)


def test_an_unknown_endpoints_shard_counts_as_empty() -> None:
    assert whole(setting(ref="endpoints.Service.default.other.80")).direct_response is not None


def test_a_dynamic_resolver_needs_no_endpoints() -> None:
    assert unavailable(Destination(name="d", settings=(DestinationSetting(name="s", weight=1, is_dynamic_resolver=True),))) is None


def test_without_its_own_shard_a_gateway_is_empty() -> None:
    assert assemble({http_key("http"): HttpListener(name="http")}).http == ()
