"""Injected credentials: a filter that only its route switches on, and a secret that is there before Envoy waits for it."""

from __future__ import annotations

from msgspec.structs import replace

from services.xds_server.render.types import LISTENER, MESSAGES, SECRET
from services.xds_server.store import GatewayStore
from shared.features.route.credential_injection.ir import CredentialInjection
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
