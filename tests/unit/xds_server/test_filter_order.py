"""A Gateway's wishes for the order of its HTTP filters."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from services.xds_server.store import GatewayStore
from shared.features.client.grpc.ir import GrpcSettings
from shared.features.client.health_check.ir import ClientHealthCheck
from shared.features.route.credential_injection.ir import CredentialInjection
from shared.ir.base import encode
from shared.ir.gateway import GatewayShard
from shared.ir.shards import GATEWAY
from shared.ir.telemetry import FilterPosition
from tests.unit.xds_server import builders as b
from tests.unit.xds_server.test_credentials import filters

HEALTH, WEB, STATS = "health_check", "grpc_web", "grpc_stats"
ONE, TWO, ROUTER = "credential_injector/default/one", "credential_injector/default/two", "router"
PREFIX = "envoy.filters.http."


def ordered(*order: FilterPosition) -> GatewayStore:
    """Filters of four kinds, two of them of one kind."""
    shards = b.gateway(2)
    shards[GATEWAY] = GatewayShard(http_listeners=(b.LISTENER,), filter_order=order)
    grpc = GrpcSettings(enable_grpc_web=True, enable_grpc_stats=True)
    shards[b.LISTENER] = replace(b.listener(), grpc=grpc, health_check=ClientHealthCheck(path="/live"))
    for name, host, injected in (("r0", "h0", "one"), ("r1", "h1", "two")):
        shard = b.route(name, host=f"{host}.example.com")
        of = CredentialInjection(name=f"default/{injected}", credential="sealed:Bearer x")
        shards[b.route_key(name)] = replace(shard, routes=tuple(replace(r, credential_injection=of) for r in shard.routes))
    store = b.store()
    store.apply(1, b.encoded(shards))
    return store


def wish(name: str, *, before: str | None = None, after: str | None = None) -> FilterPosition:
    return FilterPosition(
        name=PREFIX + name, before=PREFIX + before if before is not None else None, after=PREFIX + after if after is not None else None
    )


def short(store: GatewayStore) -> list[str]:
    return [name.removeprefix(PREFIX) for name in filters(store)]


@pytest.mark.parametrize(
    ("order", "want"),
    [
        ((), [HEALTH, WEB, STATS, ONE, TWO, ROUTER]),
        ((wish(STATS, before=WEB),), [HEALTH, STATS, WEB, ONE, TWO, ROUTER]),
        ((wish(HEALTH, after=WEB),), [WEB, HEALTH, STATS, ONE, TWO, ROUTER]),
        ((wish("credential_injector", before=WEB),), [HEALTH, ONE, TWO, WEB, STATS, ROUTER]),
        ((wish(HEALTH, after="credential_injector"),), [WEB, STATS, ONE, TWO, HEALTH, ROUTER]),
        ((wish(STATS, before=HEALTH), wish(WEB, before=STATS)), [WEB, STATS, HEALTH, ONE, TWO, ROUTER]),
        ((wish(WEB, before="cors"), wish("cors", after=STATS)), [HEALTH, WEB, STATS, ONE, TWO, ROUTER]),
        ((wish(WEB, after=ROUTER), wish(ROUTER, before=HEALTH)), [HEALTH, WEB, STATS, ONE, TWO, ROUTER]),
    ],
    ids=["usual", "before", "after", "a kind before", "after a kind", "one wish after the other", "not there", "the router stays last"],
)
def test_wishes(order: tuple[FilterPosition, ...], want: list[str]) -> None:
    assert short(ordered(*order)) == want


def test_a_changed_wish_is_a_changed_listener() -> None:
    store = ordered()
    store.apply(2, {GATEWAY: encode(GatewayShard(http_listeners=(b.LISTENER,), filter_order=(wish(STATS, before=HEALTH),)))})
    assert short(store)[:2] == [STATS, HEALTH]
