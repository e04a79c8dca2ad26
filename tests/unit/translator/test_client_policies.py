"""ClientTrafficPolicies: which listener has which, what becomes of it, and what they are told."""

from __future__ import annotations

import base64
import json
from typing import Any

from shared.core.refs import ObjectRef
from tests.unit.translator.build import (
    ENVOY,
    FLEET,
    Object,
    World,
    endpoints,
    gateway,
    gateway_class,
    http,
    https,
    listener_set,
    made,
    quickstart,
    route,
    service,
)
from tests.unit.translator.certificates import pair, tls_secret


def policy(name: str = "policy", target: str = "eg", section: str | None = None, kind: str = "Gateway", **spec: Any) -> Object:
    ref = {"group": "gateway.networking.k8s.io", "kind": kind, "name": target, **({"sectionName": section} if section else {})}
    return made(f"{ENVOY}/v1alpha1", "ClientTrafficPolicy", name, {"targetRefs": [ref], **spec})


def probes(count: int) -> Object:
    return {"tcpKeepalive": {"probes": count}}


def keepalives(world: World) -> dict[str, int | None]:
    every = {each.name.removeprefix("default/eg/"): each.tcp_keepalive for each in world.ir().http}
    return {name: keepalive.probes if keepalive is not None else None for name, keepalive in every.items()}


def test_a_section_has_its_own_word() -> None:
    world = World(
        *quickstart(), gateway(http(), http("other", 81)), policy("all", **probes(1)), policy("one", section="other", **probes(2))
    )
    assert keepalives(world) == {"http": 1, "other": 2}
    assert world.condition(policy("all"), "Overridden") == ("True", "Overridden")
    world.drop(policy("one"))
    assert keepalives(world) == {"http": 1, "other": 1}


def test_of_two_policies_for_one_target_the_older_one_holds() -> None:
    world = World(*quickstart(), policy("a", **probes(1)), policy("b", **probes(2)))
    assert keepalives(world) == {"http": 1}
    assert world.condition(policy("b"), "Accepted") == ("False", "Conflicted")


def test_plain_listeners_of_one_port_share_a_policy_or_have_none() -> None:
    listeners = gateway(http(hostname="a.com"), http("other", hostname="b.com"))
    world = World(*quickstart(), listeners, policy("one", section="http", **probes(1)))
    assert keepalives(world) == {"http": None, "other": None}
    assert world.condition(policy("one"), "Accepted") == ("False", "Invalid")
    world = World(*quickstart(), listeners, policy("all", **probes(1)))
    assert keepalives(world) == {"http": 1, "other": 1}


def test_a_listener_sets_policy_that_its_port_forbids_leaves_its_place_to_the_gateways() -> None:
    world = World(
        *quickstart(),
        gateway(http(hostname="a.com"), allowedListeners={"namespaces": {"from": "Same"}}),
        listener_set("more", http("own", hostname="b.com")),
        policy("set", "more", kind="ListenerSet", **probes(1)),
        policy("all", **probes(2)),
    )
    assert keepalives(world) == {"http": 2, "default/more/own": 2}
    assert world.condition(policy("set"), "Accepted") == ("False", "Invalid")


def test_what_cannot_be_carried_out_refuses_all_requests_until_it_is_mended() -> None:
    world = World(*quickstart(), policy(timeout={"http": {"idleTimeout": "soon"}}, **probes(1)))
    (listener,) = world.ir().http
    assert [r.direct_response.status_code for r in listener.routes if r.direct_response is not None] == [500]
    assert listener.tcp_keepalive is None
    assert world.condition(policy(), "Accepted") == ("False", "Invalid")
    outputs = world.put(policy(timeout={"http": {"idleTimeout": "10s"}}))
    assert list(outputs.shards[FLEET]) == ["http.http"]
    assert world.ir().http[0].routes[0].direct_response is None
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")


def test_faults_of_what_a_listener_does_not_have_do_not_count() -> None:
    """A Gateway without TLS has no use for ciphers, so a wrong one is no fault."""
    world = World(*quickstart(), policy(tls={"ciphers": ["ROT13"]}))
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")


def test_authorities_come_from_where_a_grant_allows_it() -> None:
    certificate = base64.b64decode(pair("ca")[0]).decode()
    bundle = made("v1", "ConfigMap", "ca", None, namespace="far", data={"ca.crt": certificate})
    refs = [{"kind": "ConfigMap", "name": "ca", "namespace": "far"}]
    validated = policy(tls={"clientValidation": {"caCertificateRefs": refs}})
    world = World(gateway_class(), gateway(https()), tls_secret(), bundle, validated)
    assert world.condition(policy(), "Accepted") == ("False", "Invalid")
    grant = {"from": [{"group": ENVOY, "kind": "ClientTrafficPolicy", "namespace": "default"}], "to": [{"group": "", "kind": "ConfigMap"}]}
    world.put(made("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "grant", grant, namespace="far"))
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")
    tls = world.ir().http[0].tls
    assert tls is not None
    assert tls.require_client_certificate
    assert tls.ca_certificate is not None
    assert tls.ca_certificate.name == "default/policy/ca.crt"


def test_authorities_of_the_whole_cluster_need_no_grant() -> None:
    certificate = base64.b64decode(pair("ca")[0]).decode()
    validated = policy(tls={"clientValidation": {"caCertificateRefs": [{"kind": "ClusterTrustBundle", "name": "all"}]}})
    world = World(gateway_class(), gateway(https()), tls_secret(), validated)
    assert world.condition(policy(), "Accepted") == ("False", "Invalid")
    world.put(made("certificates.k8s.io/v1beta1", "ClusterTrustBundle", "all", {"trustBundle": certificate}, namespace=""))
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")


def test_a_bundle_that_nobody_knows_yet_is_waited_for() -> None:
    validated = policy(tls={"clientValidation": {"caCertificateRefs": [{"name": "ca"}]}})
    world = World(gateway_class(), gateway(https()), tls_secret(), validated)
    assert "https" not in str(list(world.shards.get(FLEET, {})))
    assert any(isinstance(ref, ObjectRef) and ref.name == "ca" for refs in world.last.pending.values() for ref in refs)


def test_http3_is_there_for_https_and_infrastructure_knows() -> None:
    world = World(gateway_class(), gateway(http(), https()), tls_secret(), policy(http3={}))
    assert [each.http3 is not None for each in world.ir().http] == [False, True]
    listeners = json.loads(world.infra[FLEET])["proxy"]["listeners"]
    assert ["http3" in each for each in listeners] == [False, True]


def test_http3_gives_way_to_client_certificates() -> None:
    world = World(gateway_class(), gateway(https()), tls_secret(), policy(http3={}, tls={"clientValidation": {"mode": "Request"}}))
    assert world.ir().http[0].http3 is None
    assert world.condition(policy(), "Warning") == ("True", "UnsupportedHTTP3ClientValidation")


def test_fields_without_effect_and_fields_that_others_replace_are_told() -> None:
    world = World(*quickstart(), policy(connection={"socketBufferLimit": "1Mi"}))
    assert world.condition(policy(), "Warning") == ("True", "UnsupportedField")
    world.put(policy(connection={"socketBufferLimit": "1Mi"}, enableProxyProtocol=True))
    assert world.condition(policy(), "Warning") == ("True", "Warnings")
    assert world.ir().http[0].proxy_protocol is not None


def test_the_only_hostname_of_a_routes_is_the_default_one_of_http_1_0() -> None:
    world = World(gateway_class(), gateway(), route(hostnames=["a.com"]), service(), endpoints("app", "10.1.1.1"))
    world.put(policy(http1={"http10": {"useDefaultHost": True}}))
    http1 = world.ir().http[0].http1
    assert http1 is not None
    assert http1.http10 is not None
    assert http1.http10.default_host == "a.com"
    world.put(route("second", hostnames=["b.com"]))
    assert world.condition(policy(), "Accepted") == ("False", "Invalid")
