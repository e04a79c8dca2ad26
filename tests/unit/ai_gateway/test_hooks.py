"""The AI gateway's hooks: what is changed is known by what it is."""

from __future__ import annotations

from typing import Any

from examples.ai_gateway import envoy
from examples.ai_gateway.extension import AiGateway
from examples.ai_gateway.target import NAMESPACE, read
from shared.extension.contexts import ClusterContext, Object, RouteContext, Translation, TranslationContext
from shared.xds.message import build, decode, pack

GATEWAY = AiGateway(("127.0.0.1", 5006))
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
API = "ai-gateway.envoyproxy.io/v1alpha1"


def thing(kind: str, name: str, api: str = API, **spec: Any) -> Object:
    return Object({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})


ROUTE = thing("AIRoute", "r", rules=[{"models": ["a"], "backends": [{"name": "x"}, {"name": "y", "model": "b"}]}])
BACKENDS = (
    thing("AIBackend", "x", endpoint={"host": "x.example", "port": 80}),
    thing("AIBackend", "y", endpoint={"host": "y.example"}, schema="Anthropic", tls={}, credentials={"secretRef": {"name": "s"}}),
)


def route(**fields: Any) -> Any:
    return build("envoy.config.route.v3.Route", {"name": "r", "match": {"prefix": "/"}, "route": {"cluster": "c"}, **fields})


def listener(name: str, *filters: str, **manager: Any) -> Any:
    every = [{"name": f, "typed_config": pack(f"envoy.extensions.filters.http.{f}")} for f in filters]
    of = pack(MANAGER, {"stat_prefix": "s", "http_filters": every, **manager})
    chain = {"filters": [{"name": "hcm", "typed_config": of}]}
    return build("envoy.config.listener.v3.Listener", {"name": name, "default_filter_chain": chain})


async def test_a_route_of_an_ai_route_and_no_other() -> None:
    assert await GATEWAY.route(route(), RouteContext(("h",), (thing("AIRoute", "r", api="example.io/v1"),), ())) is None
    found = await GATEWAY.route(route(), RouteContext(("h",), (ROUTE, *BACKENDS), ()))
    assert envoy.FILTER in found.typed_per_filter_config
    assert found.route.retry_policy.num_retries.value == 1
    assert found.route.HasField("timeout")
    own = await GATEWAY.route(
        route(route={"cluster": "c", "retry_policy": {"retry_on": "5xx"}, "timeout": {"seconds": 3}}),
        RouteContext(("h",), (ROUTE, *BACKENDS), ()),
    )
    assert (own.route.retry_policy.retry_on, own.route.timeout.seconds) == ("5xx", 3), "what the user says stays"


def cluster(section: str) -> Any:
    resources = {"resources": [{"kind": "HTTPRoute", "name": "r-ai", "sectionName": section}]}
    made: Any = build("envoy.config.cluster.v3.Cluster", {"name": "httproute/default/r-ai/rule/0"})
    made.metadata.filter_metadata["envoy-gateway"].update(resources)
    return made


async def test_a_cluster_has_its_rules_backends_one_after_the_other() -> None:
    found = await GATEWAY.cluster(cluster("rule-0"), ClusterContext((ROUTE, *BACKENDS)))
    told = [read(e.lb_endpoints[0].metadata.filter_metadata[NAMESPACE]["target"]) for e in found.load_assignment.endpoints]
    assert [(e.priority, t.backend, t.there("a")) for e, t in zip(found.load_assignment.endpoints, told, strict=True)] == [
        (0, "default/x", "a"),
        (1, "default/y", "b"),
    ]
    assert [m.transport_socket.name for m in found.transport_socket_matches] == ["plain", "tls"]
    assert "sk-" not in str(found)
    unknown = await GATEWAY.cluster(cluster("model-unknown"), ClusterContext((ROUTE, *BACKENDS)))
    (endpoint,) = unknown.load_assignment.endpoints
    assert read(endpoint.lb_endpoints[0].metadata.filter_metadata[NAMESPACE]["target"]).unknown
    assert await GATEWAY.cluster(cluster("rule-7"), ClusterContext((ROUTE,))) is None
    assert await GATEWAY.cluster(cluster("rule-0"), ClusterContext(())) is None


async def test_listeners_are_known_by_the_routes_that_they_lead_to() -> None:
    ai = route(typed_per_filter_config={envoy.FILTER: envoy.per_route()})
    configs = [
        build(
            "envoy.config.route.v3.RouteConfiguration", {"name": name, "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [each]}]}
        )
        for name, each in (("team-a/gw/http", ai), ("envoy-gateway/gw/http", ai), ("plain", route()))
    ]
    listeners = [
        listener("team-a/gw/http", "ratelimit.v3.RateLimit", "router.v3.Router", rds={"route_config_name": "team-a/gw/http"}),
        listener("envoy-gateway/gw/http", "cors.v3.Cors", "router.v3.Router", rds={"route_config_name": "envoy-gateway/gw/http"}),
        listener("team-a/gw/http-quic", "router.v3.Router", rds={"route_config_name": "team-a/gw/http"}),
        listener("plain", "router.v3.Router", rds={"route_config_name": "plain"}),
        listener("envoy-gateway-proxy-ready", "health_check.v3.HealthCheck", "router.v3.Router", route_config={"name": "ready"}),
        build("envoy.config.listener.v3.Listener", {"name": "team-a/gw/tcp", "default_filter_chain": {"filters": [{"name": "tcp"}]}}),
    ]
    found = await GATEWAY.translate(Translation([], [], listeners, configs), TranslationContext(()))
    filters = {
        each.name: [f.name for f in decode(MANAGER, each.default_filter_chain.filters[0].typed_config.value).http_filters]
        for each in found.listeners[:5]
    }
    assert filters == {
        "team-a/gw/http": ["ai-gateway", "ratelimit.v3.RateLimit", "router.v3.Router"],
        "envoy-gateway/gw/http": ["cors.v3.Cors", "ai-gateway", "router.v3.Router"],
        "team-a/gw/http-quic": ["ai-gateway", "router.v3.Router"],
        "plain": ["router.v3.Router"],
        "envoy-gateway-proxy-ready": ["health_check.v3.HealthCheck", "router.v3.Router"],
    }
    assert [c.name for c in found.clusters] == [envoy.PROCESSOR]
    again = await GATEWAY.translate(found, TranslationContext(()))
    assert len(again.clusters) == 1
    nothing = Translation([], [], listeners[3:], configs[2:])
    assert await GATEWAY.translate(nothing, TranslationContext(())) is nothing


async def test_of_a_listener_with_several_hosts_those_with_ai_routes() -> None:
    ai = route(typed_per_filter_config={envoy.FILTER: envoy.per_route()})
    host = {"name": "v", "domains": ["*"], "routes": [ai]}
    config = build("envoy.config.route.v3.RouteConfiguration", {"name": "a", "virtual_hosts": [host]})
    of = listener("https", "router.v3.Router", rds={"route_config_name": "b"})
    for name in ("a", "b"):
        of.filter_chains.append(listener("", "router.v3.Router", rds={"route_config_name": name}).default_filter_chain)
    found = await GATEWAY.translate(Translation([], [], [of], [config]), TranslationContext(()))
    chains = [*found.listeners[0].filter_chains, found.listeners[0].default_filter_chain]
    assert [len(decode(MANAGER, c.filters[0].typed_config.value).http_filters) for c in chains] == [2, 1, 1]
