"""Names of resources after the port instead of the first listener."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.names import Names
from services.xds_server.render.types import LISTENER, MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.features.client.http3.ir import Http3
from shared.ir.tls import ListenerTls, TlsCertificate
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

TLS = ListenerTls(certificates=(TlsCertificate(name="cert", certificate="YQ==", private_key="sealed:key"),))


def shown(store: GatewayStore, url: str) -> dict[str, Any]:
    return {n: to_json(decode(MESSAGES[url], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in store.snapshot()[url].items()}


def stored(**listener: Any) -> GatewayStore:
    store = GatewayStore(b.opened, validate=False, names=Names(by_port=True))
    store.apply(1, b.encoded(b.gateway(1) | {b.LISTENER: replace(b.listener(), **listener)}))
    return store


def test_plain_listeners_are_named_after_their_port_throughout() -> None:
    store = stored(external_port=80)
    (name, listener), (config, routes) = *shown(store, LISTENER).items(), *shown(store, ROUTE).items()
    chain = listener["defaultFilterChain"]
    manager = chain["filters"][0]["typedConfig"]
    assert (name, listener["name"], config, chain["name"]) == ("tcp-80", "tcp-80", "http-80", "http-80")
    assert (manager["rds"]["routeConfigName"], manager["statPrefix"]) == ("http-80", "http-80")
    assert [h["name"] for h in routes["virtualHosts"]] == ["h0_example_com"]


def test_https_listeners_keep_their_chains_names() -> None:
    store = stored(external_port=443, tls=TLS, http3=Http3())
    assert sorted(shown(store, LISTENER)) == ["tcp-443", "udp-443"]
    assert list(shown(store, ROUTE)) == ["default/eg/http"]
    for listener in shown(store, LISTENER).values():
        assert [c["name"] for c in listener["filterChains"]] == ["default/eg/http"]
