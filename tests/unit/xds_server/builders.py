"""Small IRs that read like sentences, for tests of xds_server."""

from __future__ import annotations

from services.xds_server.store import GatewayStore
from shared.core.sealing import SealError
from shared.ir.base import IR, encode
from shared.ir.destination import Destination, DestinationSetting, Endpoint, EndpointsShard
from shared.ir.gateway import GatewayShard
from shared.ir.http import HttpListener, HttpRoute, HttpRouteShard, RouteOrder
from shared.ir.match import StringMatch
from shared.ir.metadata import ResourceMetadata
from shared.ir.shards import GATEWAY, endpoints_key, http_key, http_route_key
from shared.ir.tls import ListenerTls

Shards = dict[str, IR]
LISTENER = http_key("http")


def opened(token: str) -> bytes:
    """Test secrets are sealed by nothing but a prefix."""
    if not token.startswith("sealed:"):
        raise SealError("not sealed")
    return token.removeprefix("sealed:").encode()


def store(*, validate: bool = True) -> GatewayStore:
    return GatewayStore(opened, validate=validate)


def encoded(shards: Shards) -> dict[str, bytes | None]:
    return {k: encode(v) for k, v in shards.items()}


def backend_key(name: str) -> str:
    return endpoints_key("Service", "default", name, 80)


def route_key(name: str, listener: str = "http") -> str:
    return http_route_key(listener, "HTTPRoute", "default", name)


def backend(*addresses: tuple[str, int]) -> EndpointsShard:
    return EndpointsShard(endpoints=tuple(Endpoint(host=h, port=p) for h, p in addresses))


def setting(route: str, name: str, at: int = 0, weight: int = 1) -> DestinationSetting:
    return DestinationSetting(
        name=f"httproute/default/{route}/rule/0/backend/{at}",
        weight=weight,
        protocol="HTTP",
        address_type="IP",
        endpoints_ref=backend_key(name),
    )


def http_route(name: str, host: str = "*", path: str = "/", backend: str = "", regex: str | None = None) -> HttpRoute:
    """A route that sends a prefix (or a regex) of a host to a backend, by default the one of the route's name."""
    rule = f"httproute/default/{name}/rule/0"
    return HttpRoute(
        name=f"{rule}/match/0/{host.replace('.', '_')}",
        hostname=host,
        metadata=ResourceMetadata(kind="HTTPRoute", namespace="default", name=name),
        path_match=StringMatch(safe_regex=regex) if regex is not None else StringMatch(prefix=path),
        destination=Destination(name=rule, settings=(setting(name, backend or name),)),
    )


def route(name: str, host: str = "*", path: str = "/", backend: str = "", regex: str | None = None) -> HttpRouteShard:
    return HttpRouteShard(
        order=RouteOrder(created="2026-01-01T00:00:00Z", namespace="default", name=name),
        routes=(http_route(name, host, path, backend, regex),),
    )


def listener(port: int = 10080, name: str = "http", tls: ListenerTls | None = None, hostnames: tuple[str, ...] = ("*",)) -> HttpListener:
    return HttpListener(
        name=f"default/eg/{name}",
        address="127.0.0.1",
        port=port,
        hostnames=hostnames,
        tls=tls,
        metadata=ResourceMetadata(kind="Gateway", namespace="default", name="eg", section_name=name),
    )


def gateway(routes: int = 0, port: int = 10080) -> Shards:
    """A Gateway with one listener and that many routes, each on its own host and with its own backend."""
    shards: Shards = {GATEWAY: GatewayShard(http_listeners=(LISTENER,)), LISTENER: listener(port)}
    for i in range(routes):
        shards[route_key(f"r{i}")] = route(f"r{i}", host=f"h{i}.example.com")
        shards[backend_key(f"r{i}")] = backend(("10.0.0.1", 8080))
    return shards
