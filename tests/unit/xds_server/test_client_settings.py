"""What a policy on clients' connections becomes on a listener, and where it reaches beyond it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, LISTENER, MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.features.client.connection.ir import ClientConnection, ConnectionLimit
from shared.features.client.headers.ir import Headers
from shared.features.client.health_check.ir import ClientHealthCheck
from shared.features.client.http1.ir import Http1
from shared.features.client.ip_detection.ir import ClientIpDetection, XForwardedFor
from shared.features.client.proxy_protocol.ir import ClientProxyProtocol
from shared.features.client.timeout.ir import ClientTimeout, HttpClientTimeout
from shared.ir.match import AddHeader
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b


def with_settings(**settings: Any) -> GatewayStore:
    """A store with one listener of these settings, and one route."""
    store = b.store()
    store.apply(1, b.encoded(b.gateway(1) | {b.LISTENER: replace(b.listener(), **settings)}))
    return store


def made(store: GatewayStore, url: str = LISTENER) -> dict[str, Any]:
    (resource,) = store.snapshot()[url].values()
    return to_json(decode(MESSAGES[url], decode("google.protobuf.Any", resource.any_bytes).value))


def hcm(store: GatewayStore) -> dict[str, Any]:
    found: dict[str, Any] = made(store)["defaultFilterChain"]["filters"][-1]["typedConfig"]
    return found


def filters(store: GatewayStore) -> list[str]:
    return [f["name"].rpartition(".")[2] for f in hcm(store)["httpFilters"]]


def test_timeouts_stand_where_envoy_looks_for_them() -> None:
    store = with_settings(timeout=ClientTimeout(http=HttpClientTimeout(request_received_timeout="5s", idle_timeout="10s")))
    assert hcm(store)["requestTimeout"] == "5s"
    assert hcm(store)["commonHttpProtocolOptions"] == {"headersWithUnderscoresAction": "REJECT_REQUEST", "idleTimeout": "10s"}


def test_connections_are_counted_before_they_are_parsed() -> None:
    limit = ConnectionLimit(value=5, max_connection_duration="300s")
    store = with_settings(connection=ClientConnection(limit=limit, max_accept_per_socket_event=0))
    names = [f["name"] for f in made(store)["defaultFilterChain"]["filters"]]
    assert names == ["envoy.filters.network.connection_limit", "envoy.filters.network.http_connection_manager"]
    assert hcm(store)["http1SafeMaxConnectionDuration"] is True
    assert "maxConnectionsToAcceptPerSocketEvent" not in made(store)


def test_filters_of_a_listener_keep_their_order() -> None:
    late = Headers(late_add_response_headers=(AddHeader(name="x", value=("y",)),))
    store = with_settings(headers=late, health_check=ClientHealthCheck(path="/ready"))
    assert filters(store) == ["health_check", "header_mutation", "router"]


def test_a_client_is_who_the_trusted_hop_says() -> None:
    store = with_settings(client_ip_detection=ClientIpDetection(x_forwarded_for=XForwardedFor(num_trusted_hops=2)))
    assert hcm(store)["useRemoteAddress"] is False
    (extension,) = hcm(store)["originalIpDetectionExtensions"]
    assert extension["typedConfig"]["xffNumTrustedHops"] == 1


def test_a_client_range_that_is_none_costs_its_listener() -> None:
    store = with_settings(client_ip_detection=ClientIpDetection(x_forwarded_for=XForwardedFor(trusted_cidrs=("10.0.0/8",))))
    assert LISTENER not in store.snapshot()
    assert "10.0.0/8" in store.problems[b.LISTENER][0]


def test_the_proxy_protocol_comes_first() -> None:
    store = with_settings(proxy_protocol=ClientProxyProtocol(optional=True))
    assert made(store)["listenerFilters"][0]["typedConfig"]["allowRequestsWithoutProxyProtocol"] is True


def test_the_case_of_headers_is_kept_on_both_sides() -> None:
    store = with_settings(http1=Http1(preserve_header_case=True))
    assert "statefulFormatter" in hcm(store)["httpProtocolOptions"]["headerKeyFormat"]
    options = made(store, CLUSTER)["typedExtensionProtocolOptions"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    assert "headerKeyFormat" in options["explicitHttpConfig"]["httpProtocolOptions"]


def test_an_edited_listener_leaves_its_routes_alone() -> None:
    store = b.store()
    store.apply(1, b.encoded(b.gateway(20)))
    before = dict(store.evaluations)
    changed = replace(b.listener(), headers=Headers(max_request_headers_kb=96))
    assert list(store.apply(2, b.encoded({b.LISTENER: changed}))) == [LISTENER]
    assert store.evaluations["route_outputs"] == before["route_outputs"]
    assert store.evaluations["route_clusters"] == before["route_clusters"]


def test_a_listener_that_says_how_long_streams_may_be_idle_is_not_overruled_by_a_request_timeout() -> None:
    shards = b.gateway()
    timed = b.route("r")
    shards[b.route_key("r")] = replace(timed, routes=tuple(replace(r, timeout="5s") for r in timed.routes))
    shards[b.backend_key("r")] = b.backend(("10.0.0.1", 80))
    idle = ClientTimeout(http=HttpClientTimeout(stream_idle_timeout="10s"))
    for timeout, kept in ((None, True), (idle, False)):
        store = b.store()
        store.apply(1, b.encoded(shards | {b.LISTENER: replace(b.listener(), timeout=timeout)}))
        action = made(store, ROUTE)["virtualHosts"][0]["routes"][0]["route"]
        assert ("idleTimeout" in action) is kept
