"""BackendTLSPolicies: which speaks for which port, what it asks, and whom it tells."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from shared.core.refs import ObjectRef
from shared.ir.tls import UpstreamTls
from tests.unit.translator.build import ENVOY, FLEET, GATEWAY_API, Object, World, gateway, made, quickstart, route, service
from tests.unit.translator.certificates import pair
from tests.unit.translator.test_incremental import evaluated

CA = base64.b64decode(pair("ca")[0]).decode()
SERVICE = {"group": "", "kind": "Service", "name": "app"}


def authority(name: str = "ca") -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"ca.crt": CA}}


def policy(name: str = "p", *targets: Object, created: str = "", **validation: Any) -> Object:
    ca = {} if "wellKnownCACertificates" in validation else {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}
    spec = {"targetRefs": list(targets) or [SERVICE], "validation": {"hostname": f"{name}.example.com", **ca, **validation}}
    obj = made(f"{GATEWAY_API}/v1", "BackendTLSPolicy", name, spec)
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": created}}


def tls_of(world: World) -> UpstreamTls | None:
    destination = world.ir().http[0].routes[0].destination
    assert destination is not None
    return destination.settings[0].tls


def test_a_policy_turns_tls_on_and_its_end_turns_it_off() -> None:
    world = World(*quickstart(), authority(), policy())
    tls = tls_of(world)
    assert tls is not None
    assert tls.ca_certificate is not None
    assert (tls.sni, tls.ca_certificate.name, tls.min_version, tls.max_version) == ("p.example.com", "p/default-ca", "1.2", "1.3")
    assert base64.b64decode(tls.ca_certificate.certificate).decode() == CA
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")
    assert world.status(policy())["ancestors"][0]["ancestorRef"] == {"name": "eg"}
    world.drop(policy())
    assert tls_of(world) is None


def test_a_port_goes_before_the_whole_service_and_the_older_before_the_younger() -> None:
    whole, port = policy("whole", created="2020"), policy("port", {**SERVICE, "sectionName": "web"}, created="2021")
    late = policy("late", {**SERVICE, "sectionName": "web"}, created="2022")
    world = World(*quickstart(), authority(), whole, port, late)
    tls = tls_of(world)
    assert tls is not None
    assert tls.sni == "port.example.com"
    assert world.condition(port, "Accepted") == ("True", "Accepted")
    assert world.condition(late, "Accepted") == ("False", "Conflicted")
    assert (ObjectRef(GATEWAY_API, "BackendTLSPolicy", "default", "whole"), "default/eg") not in world.statuses


def test_what_cannot_be_checked_is_not_trusted() -> None:
    refs: Object = {"caCertificateRefs": [{"group": "", "kind": "Pod", "name": "x"}]}
    world = World(*quickstart(), policy(**refs))
    assert world.condition(policy(), "Accepted") == ("False", "NoValidCACertificate")
    assert world.condition(policy(), "ResolvedRefs") == ("False", "InvalidKind")
    assert world.condition(route(), "ResolvedRefs") == ("False", "InvalidBackendTLS")
    answer = world.ir().http[0].routes[0].direct_response
    assert answer is not None
    assert answer.status_code == 500


@pytest.mark.parametrize("content", ["", "not a certificate"])
def test_an_authority_that_turns_empty_is_told_and_comes_back(content: str) -> None:
    world = World(*quickstart(), authority(), policy())
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")
    world.put({**authority(), "data": {"ca.crt": content}})
    assert world.condition(policy(), "Accepted") == ("False", "NoValidCACertificate")
    assert world.condition(policy(), "ResolvedRefs") == ("False", "InvalidCACertificateRef")
    world.put(authority())
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")
    assert tls_of(world) is not None


def test_an_unknown_authority_holds_back_its_routes_and_is_named_in_time() -> None:
    world = World(*quickstart(), policy())
    assert world.last.wants == {ObjectRef("", "ConfigMap", "default", "ca")}
    assert world.ir().http[0].routes == ()
    world.time = 2.5
    world.took(world.translator.deadline_pending())
    assert world.condition(route(), "Programmed") == ("False", "Pending")
    world.put(authority())
    assert tls_of(world) is not None
    assert world.condition(policy(), "Accepted") == ("True", "Accepted")


def test_the_system_authorities_and_names() -> None:
    names = [{"type": "Hostname", "hostname": "a.example.com"}, {"type": "URI", "uri": "spiffe://a/b"}, {"type": "New"}]
    tls = tls_of(World(*quickstart(), policy(wellKnownCACertificates="System", subjectAltNames=names)))
    assert tls is not None
    assert tls.use_system_trust_store
    assert [(n.hostname, n.uri) for n in tls.subject_alt_names] == [("a.example.com", None), (None, "spiffe://a/b")]


def test_a_policy_overrules_a_backend_and_vouches_for_it() -> None:
    spec = {"endpoints": [{"fqdn": {"hostname": "a.example.com", "port": 443}}], "tls": {"sni": "own.example.com"}}
    backend = made(f"{ENVOY}/v1alpha1", "Backend", "ext", spec)
    ref = {"group": ENVOY, "kind": "Backend", "name": "ext"}
    reaching = route(rule={"backendRefs": [ref]})
    world = World(*quickstart()[:2], reaching, backend, authority(), backend=True)
    assert world.condition(reaching, "ResolvedRefs") == ("False", "InvalidBackendRef")
    world.put(policy("p", ref))
    assert world.condition(reaching, "ResolvedRefs") == ("True", "ResolvedRefs")
    tls = tls_of(world)
    assert tls is not None
    assert tls.sni == "p.example.com"


def test_many_routes_are_one_ancestor_and_an_edit_costs_one() -> None:
    world = World(*quickstart(), authority(), policy(), *(route(f"r{i}", f"/{i}") for i in range(40)))
    assert len(world.status(policy())["ancestors"]) == 1
    cost = evaluated(world, lambda: world.put(route("r7", "/other")))
    assert list(world.last.shards[FLEET]) == ["http.http.HTTPRoute.default.r7"]
    assert not world.last.statuses
    assert sum(cost.values()) <= 9, cost
    cost = evaluated(world, lambda: world.put(service("other")))
    assert "rules" not in cost


def test_telemetry_is_an_ancestor_too() -> None:
    log = {"sinks": [{"type": "ALS", "als": {"type": "HTTP", "backendRefs": [{"name": "app", "port": 80}]}}]}
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "proxy", {"telemetry": {"accessLog": {"settings": [log]}}})
    uses = {"parametersRef": {"group": ENVOY, "kind": "EnvoyProxy", "name": "proxy"}}
    base = quickstart()
    world = World(base[0], gateway(infrastructure=uses), *base[3:], proxy, authority(), policy())
    (ancestor,) = world.status(policy())["ancestors"]
    assert ancestor["ancestorRef"] == {"group": ENVOY, "kind": "EnvoyProxy", "namespace": "default", "name": "proxy"}
    found = world.ir().access_log
    assert found is not None
    assert found.als[0].destination.settings[0].tls is not None
