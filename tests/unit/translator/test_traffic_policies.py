"""BackendTrafficPolicies through the translator: who has the word, what merges, and what a change costs."""

from __future__ import annotations

from typing import Any

from shared.features.route.direct_response.ir import DirectResponse
from shared.features.traffic.rate_limit.ir import RateLimitService
from shared.ir.http import HttpRoute
from tests.unit.translator.build import (
    ENVOY,
    FLEET,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    http,
    listener,
    made,
    quickstart,
    route,
    service,
    stream_route,
)

GROUP = "gateway.networking.k8s.io"


def policy(name: str, kind: str = "HTTPRoute", target: str = "app", section: str | None = None, **spec: Any) -> Object:
    ref = {"group": GROUP, "kind": kind, "name": target, **({"sectionName": section} if section is not None else {})}
    return made(f"{ENVOY}/v1alpha1", "BackendTrafficPolicy", name, {"targetRefs": [ref], **spec})


def for_gateway(name: str = "wide", **spec: Any) -> Object:
    return policy(name, "Gateway", "eg", **spec)


def only(world: World) -> HttpRoute:
    (found,) = world.ir().http[0].routes
    return found


def limited(value: str) -> Object:
    selector = {"headers": [{"name": "x-user", "value": value}]}
    return {"type": "Global", "global": {"rules": [{"clientSelectors": [selector], "limit": {"requests": 5, "unit": "Hour"}}]}}


def test_the_routes_policy_goes_before_the_gateways() -> None:
    own = policy("own", proxyProtocol={"version": "V1"})
    world = World(*quickstart(), for_gateway(proxyProtocol={"version": "V2"}), own)
    found = only(world).traffic
    assert found is not None
    assert found.proxy_protocol is not None
    assert found.proxy_protocol.version == "V1"
    world.drop(own)
    found = only(world).traffic
    assert found is not None
    assert found.proxy_protocol is not None
    assert found.proxy_protocol.version == "V2"


def test_an_edited_policy_of_a_gateway_is_one_message() -> None:
    routes = (route(f"r{n}", f"/{n}") for n in range(50))
    world = World(*quickstart(), *routes, for_gateway(timeout={"http": {"requestTimeout": "1s"}}))
    world.put(for_gateway(timeout={"http": {"requestTimeout": "2s"}}))
    assert list(world.last.shards[FLEET]) == ["policy.BackendTrafficPolicy.default.wide"]


def test_limits_of_a_merged_policy_keep_the_names_of_those_who_wrote_them() -> None:
    above = for_gateway(rateLimit=limited("one"))
    own = policy("own", mergeType="StrategicMerge", rateLimit=limited("two"))
    world = World(*quickstart(), above, own, rate_limit=RateLimitService(host="limits", port=8081, tls=False))
    traffic = only(world).traffic
    assert traffic is not None
    assert traffic.rate_limit is not None
    assert traffic.rate_limit.global_ is not None
    assert [rule.name for rule in traffic.rate_limit.global_.rules] == ["default/own/rule/0", "default/wide/rule/0"]


def test_a_body_counts_from_whoever_wrote_the_override() -> None:
    body = {"type": "ValueRef", "valueRef": {"group": "", "kind": "ConfigMap", "name": "page"}}
    above = for_gateway(responseOverride=[{"match": {"statusCodes": [{"value": 404}]}, "response": {"body": body}}])
    page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page", "namespace": "default"}, "data": {"other": "lost"}}
    world = World(*quickstart(), page, above, policy("own", mergeType="JSONMerge", proxyProtocol={"version": "V1"}))
    traffic = only(world).traffic
    assert traffic is not None
    assert traffic.response_override is not None
    assert traffic.response_override.rules[0].response is not None
    assert traffic.response_override.rules[0].response.body == "bG9zdA=="
    world.drop(page)
    assert world.condition(above, "Accepted") == ("False", "Invalid")
    assert only(world).direct_response == DirectResponse(status_code=500)


def test_what_could_be_built_counts_for_connections_although_requests_are_refused() -> None:
    broken = for_gateway(proxyProtocol={"version": "V2"}, connection={"bufferLimit": "100m"})
    tcp = stream_route("TCPRoute")
    world = World(
        gateway_class(), gateway(http(), listener("TCP", "db", 5432)), route(), tcp, service(), endpoints("app", "10.1.1.1"), broken
    )
    assert only(world).direct_response == DirectResponse(status_code=500)
    connection = world.ir().tcp[0].routes[0]
    assert connection.proxy_protocol is not None
    assert world.condition(broken, "Accepted") == ("False", "Invalid")


def hosts(world: World, name: str) -> list[str]:
    found = next(r for r in world.ir().http[0].routes if f"/{name}/" in r.name)
    assert found.destination is not None
    return [e.host for s in found.destination.settings for e in s.endpoints]


def test_a_policy_sends_requests_to_the_services_own_address() -> None:
    world = World(*quickstart()[:3], service(clusterIP="10.0.0.9"), endpoints("app", "10.1.1.1"), route("other", "/other"))
    before = hosts(world, "app")
    world.put(policy("own", routingType="Service"))
    assert (before, hosts(world, "app"), hosts(world, "other")) == (["10.1.1.1"], ["10.0.0.9"], ["10.1.1.1"])
    world.put(policy("own", routingType="Service"), policy("second", target="other", proxyProtocol={"version": "V1"}))
    world.put(for_gateway(routingType="Service"))
    # a policy that replaces the Gateway's replaces where it sends requests, too
    assert hosts(world, "other") == ["10.1.1.1"]
    world.put(policy("second", target="other", mergeType="StrategicMerge", proxyProtocol={"version": "V1"}))
    assert hosts(world, "other") == ["10.0.0.9"]


def test_headers_in_which_backends_report_their_load_are_not_for_clients() -> None:
    balancer = {"type": "BackendUtilization", "backendUtilization": {"keepResponseHeaders": False}}
    world = World(*quickstart(), policy("own", loadBalancer=balancer))
    assert only(world).remove_response_headers == ("endpoint-load-metrics", "endpoint-load-metrics-bin")
    balancer = {"type": "BackendUtilization", "backendUtilization": {"keepResponseHeaders": True}}
    world.put(policy("own", loadBalancer=balancer))
    assert only(world).remove_response_headers == ()


def test_copies_of_requests_go_the_same_way() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "app", "port": 80}}}
    mirrored = route(rule={"filters": [mirror]})
    world = World(gateway_class(), gateway(), service(clusterIP="10.0.0.9"), endpoints("app", "10.1.1.1"), mirrored)
    world.put(policy("own", routingType="Service"))
    (copy,) = only(world).mirrors
    assert [e.host for s in copy.destination.settings for e in s.endpoints] == ["10.0.0.9"]


def test_a_policy_that_says_other_things_than_before_looks_at_no_route_again() -> None:
    routes = (route(f"r{n}", f"/{n}") for n in range(20))
    world = World(*quickstart(), *routes, for_gateway(routingType="Service", timeout={"http": {"requestTimeout": "1s"}}))
    before = dict(world.translator.db.evaluations)
    world.put(for_gateway(routingType="Service", timeout={"http": {"requestTimeout": "2s"}}))
    ran = {name for name, count in world.translator.db.evaluations.items() if count != before.get(name, 0)}
    assert not ran & {"rules", "route_shards", "upstream"}
