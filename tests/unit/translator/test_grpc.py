"""GRPCRoutes: an HTTP route in everything but its matches and filters."""

from __future__ import annotations

from typing import Any

import pytest

from shared.features.client.grpc.ir import GrpcSettings
from shared.ir.match import StringMatch
from tests.unit.translator.build import FLEET, World, gateway, grpc_route, made, quickstart, route
from tests.unit.translator.test_incremental import evaluated


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ({"service": "a.B", "method": "C"}, StringMatch(exact="/a.B/C"), ()),
        ({"service": "a.B"}, StringMatch(prefix="/a.B"), ()),
        ({"method": "C"}, None, (StringMatch(name=":path", suffix="/C"),)),
        ({"type": "RegularExpression", "service": "a.+", "method": "C.+"}, StringMatch(safe_regex="/a.+/C.+"), ()),
        ({"type": "RegularExpression", "service": "a.+"}, StringMatch(safe_regex="/a.+/[A-Za-z_][A-Za-z_0-9]*"), ()),
    ],
)
def test_a_method_is_a_path(method: dict[str, Any], path: StringMatch | None, headers: tuple[StringMatch, ...]) -> None:
    world = World(*quickstart()[:2], *quickstart()[3:], grpc_route(method=method))
    (only,) = world.ir().http[0].routes
    assert (only.path_match, only.header_matches, only.is_http2) == (path, headers, True)
    assert only.destination is not None
    assert only.destination.settings[0].protocol == "GRPC"


def test_a_listener_speaks_grpc_while_a_grpc_route_is_there() -> None:
    world = World(*quickstart())
    assert world.ir().http[0].grpc is None
    world.put(grpc_route())
    assert world.ir().http[0].grpc == GrpcSettings(enable_grpc_web=True, enable_grpc_stats=True)
    world.put(grpc_route("second"))
    assert list(world.last.shards[FLEET]) == ["http.http.GRPCRoute.default.second"]
    world.drop(grpc_route(), grpc_route("second"))
    assert world.ir().http[0].grpc is None


def test_a_regex_that_envoy_would_refuse_costs_its_rule() -> None:
    bad = grpc_route("bad", {"type": "RegularExpression", "method": "("})
    world = World(*quickstart(), bad)
    assert world.condition(bad, "Accepted") == ("False", "UnsupportedValue")
    assert [r.metadata.kind for r in world.ir().http[0].routes if r.metadata] == ["HTTPRoute"]
    assert world.status(gateway())["listeners"][0]["attachedRoutes"] == 1


@pytest.mark.parametrize("kind", ["URLRewrite", "RequestRedirect", "CORS"])
def test_filters_of_http_alone_are_refused(kind: str) -> None:
    field = {"URLRewrite": "urlRewrite", "RequestRedirect": "requestRedirect", "CORS": "cors"}[kind]
    bad = grpc_route(rule={"filters": [{"type": kind, field: {}}]})
    world = World(*quickstart(), bad)
    assert world.condition(bad, "Accepted") == ("False", "UnsupportedValue")


def test_success_cannot_be_made_up() -> None:
    extra = made("gateway.envoyproxy.io/v1alpha1", "HTTPRouteFilter", "extra", {"directResponse": {"statusCode": 200}})
    ref = {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "extra"}
    bad = grpc_route(rule={"filters": [{"type": "ExtensionRef", "extensionRef": ref}]})
    world = World(*quickstart(), extra, bad)
    assert world.condition(bad, "Accepted") == ("False", "UnsupportedValue")


def test_http_routes_come_before_grpc_routes() -> None:
    world = World(*quickstart()[:2], *quickstart()[3:], grpc_route("a", {"service": "a"}), route("b", "/a"))
    assert [r.metadata.kind for r in world.ir().http[0].routes if r.metadata] == ["HTTPRoute", "GRPCRoute"]


def test_one_edited_grpc_route_costs_that_route() -> None:
    world = World(*quickstart(), *(grpc_route(f"r{i}", {"service": f"s{i}"}) for i in range(50)))
    cost = evaluated(world, lambda: world.put(grpc_route("r7", {"service": "other"})))
    assert list(world.last.shards[FLEET]) == ["http.http.GRPCRoute.default.r7"]
    assert sum(cost.values()) <= 8, cost
