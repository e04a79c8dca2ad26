"""Injected credentials: a filter that only its route switches on, and a secret that is there before Envoy waits for it."""

from __future__ import annotations

from msgspec.structs import replace

from services.xds_server.render.types import CLUSTER, LISTENER, MESSAGES, SECRET
from services.xds_server.store import GatewayStore
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.ir.destination import BackendFilters
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b


def injecting(credential: str) -> GatewayStore:
    shards = b.gateway(2)
    key = b.route_key("r0")
    of = CredentialInjection(name="default/one", credential=credential)
    route = b.route("r0", host="h0.example.com")
    shards[key] = replace(route, routes=tuple(replace(r, credential_injection=of) for r in route.routes))
    store = b.store()
    store.apply(1, b.encoded(shards))
    return store


def filters(store: GatewayStore) -> list[str]:
    (listener,) = store.snapshot()[LISTENER].values()
    made = to_json(decode(MESSAGES[LISTENER], decode("google.protobuf.Any", listener.any_bytes).value))
    return [f["name"] for f in made["defaultFilterChain"]["filters"][0]["typedConfig"]["httpFilters"]]


def test_a_credential_has_a_filter_and_a_secret_of_its_own() -> None:
    store = injecting("sealed:Bearer x")
    assert filters(store) == ["envoy.filters.http.credential_injector/default/one", "envoy.filters.http.router"]
    assert list(store.snapshot()[SECRET]) == ["credential_injector/credential/default/one"]
    store.apply(2, {b.route_key("r0"): None})
    assert filters(store) == ["envoy.filters.http.router"]
    assert SECRET not in store.snapshot()


def test_a_credential_that_no_key_opens_costs_its_route_alone() -> None:
    store = injecting("nonsense")
    assert "cannot be opened" in store.problems[b.route_key("r0")][0]
    assert filters(store) == ["envoy.filters.http.router"]
    assert SECRET not in store.snapshot()


def test_a_backends_credential_stands_on_its_cluster() -> None:
    shards = b.gateway(1)
    route = b.http_route("r0", host="h0.example.com")
    own = BackendFilters(credential_injection=CredentialInjection(name="default/one", credential="sealed:x"))
    assert route.destination is not None
    settings = tuple(replace(s, filters=own) for s in route.destination.settings)
    route = replace(route, destination=replace(route.destination, settings=settings))
    shards[b.route_key("r0")] = replace(b.route("r0"), routes=(route,))
    store = b.store()
    store.apply(1, b.encoded(shards))
    (cluster,) = store.snapshot()[CLUSTER].values()
    options = to_json(decode(MESSAGES[CLUSTER], decode("google.protobuf.Any", cluster.any_bytes).value))["typedExtensionProtocolOptions"]
    names = [f["name"].partition("/")[0] for f in next(iter(options.values()))["httpFilters"]]
    assert names == ["envoy.filters.http.credential_injector", "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"]
    assert list(store.snapshot()[SECRET]) == ["credential_injector/credential/default/one"]
