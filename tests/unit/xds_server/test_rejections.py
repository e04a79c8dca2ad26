"""Who is blamed when Envoy refuses a resource, what is served meanwhile, and how many tries that takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from services.xds_server.rejections import Rejections
from services.xds_server.render.types import CLUSTER, ROUTE, Need
from services.xds_server.resources import ResourceChanges
from services.xds_server.store import GatewayStore
from shared.features.client.headers.ir import Headers
from shared.ir.base import encode
from shared.ir.http import HttpRouteShard
from shared.ir.match import AddHeader
from shared.xds.message import decode
from tests.unit.xds_server import builders as b

CONFIG: Need = (ROUTE, "default/eg/http")


class Envoy:
    """Takes or refuses the store's resources, as `accepts` decides from a resource's text."""

    def __init__(self, store: GatewayStore, rejections: Rejections, accepts: Callable[[bytes], bool]) -> None:
        self.store, self.rejections, self.accepts = store, rejections, accepts
        self.has: dict[Need, str] = {}
        self.tries = 0

    def look(self) -> None:
        """Takes what changed until nothing changes any more."""
        for _ in range(200):
            todo = [
                ((t, r.name), r)
                for t, held in self.store.snapshot().items()
                for r in held.values()
                if self.has.get((t, r.name)) != r.version and self.refused.get((t, r.name)) != r.version
            ]
            if not todo:
                break
            for need, resource in todo:
                if self.store.content(need) != resource.version:
                    continue
                self.tries += 1
                if self.accepts(resource.any_bytes):
                    self.has[need] = resource.version
                    self.rejections.accepted({need: resource.version})
                else:
                    self.refused[need] = resource.version
                    self.rejections.rejected(need, resource.version, "no such thing")
        else:
            raise AssertionError("the search does not end")
        if not self.rejections.searching:
            self.store.accept()

    refused: dict[Need, str] = {}  # noqa: RUF012  set anew for each


def no_evil_path(data: bytes) -> bool:
    return b"/evil" not in data


def evil(name: str, host: str, path: str = "/evil") -> HttpRouteShard:
    shard = b.route(name, host=host, path=path, backend="r0")
    header = AddHeader(name="X-Evil", value=("yes",))
    return replace(shard, routes=tuple(replace(r, add_request_headers=(header,)) for r in shard.routes))


def started(routes: int, accepts: Callable[[bytes], bool]) -> tuple[GatewayStore, Rejections, Envoy]:
    store = b.store()
    rejections = Rejections(store, "default/eg")
    store.apply(1, b.encoded(b.gateway(routes)))
    envoy = Envoy(store, rejections, accepts)
    envoy.refused = {}
    envoy.look()
    envoy.tries = 0
    return store, rejections, envoy


def change(store: GatewayStore, rejections: Rejections, changed: dict[str, bytes | None]) -> ResourceChanges:
    changes = store.apply(store.version + 1, changed)
    rejections.on_new_version()
    return changes


def served(store: GatewayStore) -> dict[str, str]:
    """Host -> path of its first route, or the status of its direct response."""
    config = decode(
        "envoy.config.route.v3.RouteConfiguration", decode("google.protobuf.Any", store.snapshot()[ROUTE][CONFIG[1]].any_bytes).value
    )
    out = {}
    for host in config.virtual_hosts:
        route = host.routes[0]
        out[host.domains[0]] = str(route.direct_response.status) if route.HasField("direct_response") else route.match.path_separated_prefix
    return out


def not_evil(data: bytes) -> bool:
    """Refuses a RouteConfiguration in which some route does evil; a 500 in its stead does not."""
    return not (b"RouteConfiguration" in data and b"X-Evil" in data)


def blamed(rejections: Rejections) -> list[tuple[str, ...]]:
    return [r.objects for r in rejections.report()]


@pytest.mark.parametrize("guilty", [[3], [0, 7], [1, 2, 3, 4]])
def test_the_guilty_keep_their_last_accepted_content_and_all_others_go_on(guilty: list[int]) -> None:
    store, rejections, envoy = started(8, not_evil)
    changed: dict[str, bytes | None] = {}
    for i in range(8):
        host = f"h{i}.example.com"
        changed[b.route_key(f"r{i}")] = encode(evil(f"r{i}", host) if i in guilty else b.route(f"r{i}", host=host, path=f"/good{i}"))
    change(store, rejections, changed)
    envoy.look()
    assert served(store) == {f"h{i}.example.com": "" if i in guilty else f"/good{i}" for i in range(8)}
    assert blamed(rejections) == [(f"gateway.networking.k8s.io/HTTPRoute/default/r{i}",) for i in guilty]
    assert envoy.has[CONFIG] == store.content(CONFIG)


def test_a_guilty_route_that_was_never_accepted_is_answered_500() -> None:
    store, rejections, envoy = started(2, not_evil)
    change(store, rejections, {b.route_key("new"): encode(evil("new", "new.example.com"))})
    envoy.look()
    assert served(store)["new.example.com"] == "500"
    assert envoy.tries <= 4
    change(store, rejections, {b.route_key("new"): encode(b.route("new", host="new.example.com", path="/fine", backend="r0"))})
    envoy.look()
    assert served(store)["new.example.com"] == "/fine"
    assert rejections.report() == ()


def test_where_the_match_itself_is_refused_the_route_goes() -> None:
    store, rejections, envoy = started(2, no_evil_path)
    change(store, rejections, {b.route_key("new"): encode(evil("new", "new.example.com"))})
    envoy.look()
    assert sorted(served(store)) == ["h0.example.com", "h1.example.com"]
    assert blamed(rejections) == [("gateway.networking.k8s.io/HTTPRoute/default/new",)]


def test_among_many_changes_the_search_is_logarithmic() -> None:
    store, rejections, envoy = started(0, not_evil)
    shards = b.gateway(256)
    shards[b.route_key("r77")] = evil("r77", "h77.example.com")
    change(store, rejections, b.encoded(shards))
    envoy.look()
    assert served(store)["h77.example.com"] == "500"
    assert blamed(rejections) == [("gateway.networking.k8s.io/HTTPRoute/default/r77",)]
    tries_of_config = envoy.tries - 2 * 256
    assert tries_of_config < 40


def test_a_refused_cluster_is_traced_to_its_route() -> None:
    store, rejections, envoy = started(3, lambda data: not (b"Cluster" in data and b"/r9/" in data))
    change(store, rejections, b.encoded({b.route_key("r9"): b.route("r9", host="h9.example.com", backend="r0")}))
    envoy.look()
    assert served(store)["h9.example.com"] == "500"
    assert (CLUSTER, "httproute/default/r9/rule/0") not in [(t, n) for t, held in store.snapshot().items() for n in held]
    assert blamed(rejections) == [("gateway.networking.k8s.io/HTTPRoute/default/r9",)]


def test_what_nobody_changed_is_nobodys_fault() -> None:
    store, rejections, envoy = started(3, not_evil)
    assert envoy.has[CONFIG] == store.content(CONFIG)
    assert rejections.rejected(CONFIG, store.content(CONFIG) or "", "moody") == {}
    (found,) = rejections.report()
    assert (found.resource, found.detail, found.objects) == ("default/eg/http", "moody", ())


def test_a_refusal_of_old_content_is_history() -> None:
    _, rejections, _ = started(3, not_evil)
    assert rejections.rejected(CONFIG, "long ago", "no") == {}
    assert rejections.report() == ()


def test_problems_found_while_rendering_are_reported_too() -> None:
    store, rejections, _ = started(1, not_evil)
    change(store, rejections, {b.route_key("bad"): encode(b.route("bad", host="bad.example.com", regex="/("))})
    (found,) = rejections.report()
    assert found.objects == ("gateway.networking.k8s.io/HTTPRoute/default/bad",)


def test_a_listeners_policy_is_told_with_its_gateway() -> None:
    store, rejections, envoy = started(1, lambda data: b"X-Evil" not in data)
    late = Headers(late_add_response_headers=(AddHeader(name="X-Evil", value=("yes",)),))
    change(store, rejections, b.encoded({b.LISTENER: replace(b.listener(), headers=late, client_policy="default/policy")}))
    envoy.look()
    gateway, policy = "gateway.networking.k8s.io/Gateway/default/eg", "gateway.envoyproxy.io/ClientTrafficPolicy/default/policy"
    assert blamed(rejections) == [(gateway, policy)]
