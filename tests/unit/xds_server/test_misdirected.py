"""HTTPS listeners of one port: a request for a host of another listener is refused, so that HTTP/2 need not be."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from services.xds_server.render.types import LISTENER, MESSAGES, ROUTE
from services.xds_server.store import GatewayStore
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener
from shared.ir.shards import GATEWAY, http_key
from shared.ir.tls import ListenerTls, TlsCertificate
from shared.xds.message import decode, to_json
from tests.unit.xds_server import builders as b

TLS = ListenerTls(certificates=(TlsCertificate(name="cert", certificate="YQ==", private_key="sealed:key"),))
HOSTS = {"any": (), "one": ("one.org",), "wild": ("*.wild.org",), "inside": ("in.wild.org",)}


def listener(name: str) -> HttpListener:
    return replace(b.listener(10443, tls=TLS, hostnames=HOSTS[name]), name=f"default/eg/{name}", tls_overlaps=True)


def stored(*names: str, **hosts: str) -> GatewayStore:
    """HTTPS listeners of one port; `name=host`: with a route for that host."""
    shards: b.Shards = {http_key(n): listener(n) for n in names}
    shards |= {b.route_key("r", at): b.route("r", host=host, backend="r") for at, host in hosts.items()}
    shards |= {GATEWAY: GatewayShard(http_listeners=tuple(http_key(n) for n in names)), b.backend_key("r"): b.backend(("10.0.0.1", 80))}
    store = b.store()
    store.apply(1, b.encoded(shards))
    return store


def made(store: GatewayStore, url: str) -> dict[str, dict[str, Any]]:
    return {n: to_json(decode(MESSAGES[url], decode("google.protobuf.Any", r.any_bytes).value)) for n, r in store.snapshot()[url].items()}


def answers(store: GatewayStore, name: str) -> dict[str, object]:
    """Domain -> 421, 404, or `backend` where the listener's own routes serve it."""

    def answer(host: dict[str, Any]) -> object:
        routes = host.get("routes", [])
        return routes[0]["directResponse"]["status"] if routes and "directResponse" in routes[0] else "backend" if routes else 404

    (found,) = [c for n, c in made(store, ROUTE).items() if n == f"default/eg/{name}"]
    return {d: answer(host) for host in found.get("virtualHosts", []) for d in host["domains"]}


def protocols(store: GatewayStore) -> set[tuple[str, ...]]:
    chains = [chain for each in made(store, LISTENER).values() for chain in each["filterChains"]]
    contexts = [c["transportSocket"]["typedConfig"]["commonTlsContext"] for c in chains]
    return {tuple(c["alpnProtocols"]) for c in contexts}


def test_each_listener_refuses_what_belongs_to_the_others() -> None:
    store = stored(*HOSTS, any="org.com", one="one.org", wild="*.wild.org", inside="in.wild.org")
    assert answers(store, "any") == {"org.com": "backend", "one.org": 421, "*.wild.org": 421, "in.wild.org": 421}
    assert answers(store, "one") == {"one.org": "backend", "*": 421, "*.wild.org": 421, "in.wild.org": 421}
    assert answers(store, "wild") == {"*.wild.org": "backend", "*": 421, "one.org": 421, "in.wild.org": 421}
    assert answers(store, "inside") == {"in.wild.org": "backend", "*": 421, "one.org": 421, "*.wild.org": 421}
    assert protocols(store) == {("h2", "http/1.1")}


def test_a_host_of_its_own_without_a_route_is_not_found() -> None:
    store = stored("any", "wild", any="org.com", wild="a.wild.org")
    assert answers(store, "wild") == {"a.wild.org": "backend", "*.wild.org": 404, "*": 421}


def test_a_route_of_its_own_wins() -> None:
    assert answers(stored("any", "one", any="one.org"), "any") == {"one.org": "backend"}


def test_a_guard_goes_with_the_listener_that_it_guards() -> None:
    store = stored("any", "one", any="org.com")
    assert answers(store, "any") == {"org.com": "backend", "one.org": 421}
    store.apply(2, b.encoded({GATEWAY: GatewayShard(http_listeners=(http_key("any"),))}) | {http_key("one"): None})
    assert answers(store, "any") == {"org.com": "backend"}
    assert protocols(store) == {("http/1.1",)}
    # a certificate that overlaps with something that is not known here: nothing could be refused


def test_an_edit_of_one_listener_leaves_the_other_alone() -> None:
    store = stored("any", "one", any="org.com", one="one.org")
    changes = store.apply(2, b.encoded({b.route_key("s", "one"): b.route("s", host="one.org", backend="r")}))
    assert set(changes[ROUTE].upserts) == {"default/eg/one"}
