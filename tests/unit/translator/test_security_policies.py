"""SecurityPolicies and EnvoyExtensionPolicies through the translator: what they need of others, and what they cost."""

from __future__ import annotations

import base64
from typing import Any

from tests.unit.translator.build import (
    ENVOY,
    FLEET,
    GATEWAY_API,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    listener,
    made,
    quickstart,
    ref_of,
    route,
    service,
    stream_route,
)

ENDPOINTS = "endpoints.Service.default.{}.80"


def policy(kind: str = "SecurityPolicy", name: str = "p", target: str = "HTTPRoute", of: str = "app", **spec: Any) -> Object:
    targets = [{"group": GATEWAY_API, "kind": target, "name": of}]
    return made(f"{ENVOY}/v1alpha1", kind, name, {"targetRefs": targets, **spec})


def asking(name: str = "auth", **more: Any) -> dict[str, Any]:
    return {"http": {"backendRefs": [{"name": name, "port": 80}]}, **more}


def secret(name: str, **data: str) -> Object:
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "default", "name": name}, "data": encoded}


def test_the_endpoints_of_a_service_stay_as_long_as_a_route_or_a_policy_needs_them() -> None:
    users = [policy(extAuth=asking()), route("direct", "/auth", "auth")]
    world = World(*quickstart(), service("auth"), endpoints("auth", "10.1.1.9"), *users)
    key = ENDPOINTS.format("auth")
    for order in (users, users[::-1]):
        world.put(*users)
        assert key in world.shards[FLEET]
        world.drop(order[0])
        assert key in world.shards[FLEET]
        world.drop(order[1])
        assert key not in world.shards[FLEET]


def test_moving_endpoints_of_a_service_move_nothing_else() -> None:
    world = World(*quickstart(), service("auth"), endpoints("auth", "10.1.1.9"), policy(extAuth=asking()))
    world.put(endpoints("auth", "10.1.1.10"))
    assert list(world.last.shards[FLEET]) == [ENDPOINTS.format("auth")]
    security = world.ir().http[0].routes[0].security
    assert security is not None
    assert security.ext_auth is not None
    assert security.ext_auth.http is not None
    assert [e.host for e in security.ext_auth.http.destination.settings[0].endpoints] == ["10.1.1.10"]


def test_an_edited_policy_is_one_shard_for_all_its_routes() -> None:
    routes = [route(f"r{i}", f"/{i}") for i in range(20)]
    whole = policy(target="Gateway", of="eg", cors={"allowOrigins": ["https://a"]})
    world = World(*quickstart(), *routes, whole)
    world.put(policy(target="Gateway", of="eg", cors={"allowOrigins": ["https://b"]}))
    assert list(world.last.shards[FLEET]) == ["policy.SecurityPolicy.default.p"]


def test_a_secret_that_is_not_known_yet_holds_its_policy_back_and_nothing_else() -> None:
    users = policy(basicAuth={"users": {"name": "users"}})
    world = World(*quickstart(), users)
    assert ref_of(secret("users")) in world.last.wants
    # until then its route is not there: nobody comes in
    assert world.ir().http[0].routes == ()
    world.put(secret("users", **{".htpasswd": "joe:{SHA}" + base64.b64encode(b"x" * 20).decode()}))
    found = world.ir().http[0].routes[0]
    assert found.direct_response is None
    assert found.security is not None
    assert found.security.basic_auth is not None
    assert world.condition(users, "Accepted") == ("True", "Accepted")


def test_what_cannot_be_translated_refuses_requests_and_says_why() -> None:
    broken = policy(extAuth=asking("nobody"), cors={"allowOrigins": ["https://a"]})
    world = World(*quickstart(), broken)
    assert world.condition(broken, "Accepted") == ("False", "Invalid")
    found = world.ir().http[0].routes[0]
    assert found.direct_response is not None
    assert found.security is not None
    assert found.security.cors is not None
    world.put(policy(extAuth=asking("nobody", failOpen=True)))
    assert world.ir().http[0].routes[0].direct_response is None
    assert world.condition(broken, "Accepted") == ("False", "Invalid")


def test_a_processor_that_may_fail_is_left_out_and_the_others_stay() -> None:
    refs = [{"backendRefs": [{"name": "app", "port": 80}]}, {"backendRefs": [{"name": "nobody", "port": 80}], "failOpen": True}]
    world = World(*quickstart(), policy("EnvoyExtensionPolicy", extProc=refs))
    found = world.ir().http[0].routes[0]
    assert found.direct_response is None
    assert found.envoy_extensions is not None
    assert [p.name for p in found.envoy_extensions.ext_procs] == ["envoyextensionpolicy/default/p/extproc/0"]


def test_connections_know_only_addresses_and_an_unsound_policy_lets_none_in() -> None:
    inside = {"action": "Allow", "principal": {"clientCIDRs": ["10.0.0.0/8"]}}
    objects = [gateway_class(), gateway(listener("TCP", "tcp", 90)), stream_route("TCPRoute"), service(), endpoints("app", "10.1.1.1")]
    world = World(*objects, policy(target="TCPRoute", of="db", authorization={"rules": [inside]}))
    found = world.ir().tcp[0].routes[0].authorization
    assert found is not None
    assert [c.cidr for rule in found.rules for c in rule.principal.client_cidrs] == ["10.0.0.0/8"]
    world.put(policy(target="TCPRoute", of="db", authorization={"rules": [{**inside, "principal": {"clientCIDRs": ["nowhere"]}}]}))
    found = world.ir().tcp[0].routes[0].authorization
    assert found is not None
    assert (found.rules, found.default_action) == ((), "Deny")


def test_references_of_a_merged_policy_count_from_who_wrote_them() -> None:
    above = policy(name="above", target="Gateway", of="eg", extAuth=asking("auth"))
    below = policy(name="below", mergeType="StrategicMerge", cors={"allowOrigins": ["https://a"]})
    world = World(*quickstart(), service("auth"), endpoints("auth", "10.1.1.9"), above, below)
    found = world.ir().http[0].routes[0].security
    assert found is not None
    assert found.ext_auth is not None
    assert found.ext_auth.name == "securitypolicy/default/above"
    assert found.cors is not None
    assert world.condition(below, "Merged") == ("True", "Merged")


def test_a_script_is_looked_at_as_closely_as_the_proxy_says() -> None:
    script = policy("EnvoyExtensionPolicy", lua=[{"type": "Inline", "inline": "function envoy_on_request(h) h:nothing() end"}])
    assert World(*quickstart(), script).condition(script, "Accepted") == ("False", "Invalid")
    for trust in ({"luaValidation": "Disabled"}, {"luaValidation": "Strict", "lua": {"validationType": "InsecureSyntax"}}):
        assert World(*quickstart(), script, envoy_proxy=trust).condition(script, "Accepted") == ("True", "Accepted")
    careful = World(*quickstart(), script, envoy_proxy={"luaValidation": "Disabled", "lua": {"validationType": "Strict"}})
    assert careful.condition(script, "Accepted") == ("False", "Invalid")
    forbidding = World(*quickstart(), script, envoy_proxy={"luaValidation": "Disabled"}, disable_lua=True)
    assert forbidding.condition(script, "Accepted") == ("False", "Invalid")
