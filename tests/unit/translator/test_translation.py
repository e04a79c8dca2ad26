"""What single objects come to; the breadth of it is in the reference cases (tests/golden)."""

from __future__ import annotations

from typing import Any

import pytest

from services.translator.settings import TranslatorSettings
from services.translator.translator import Translator
from shared.core.refs import GatewayRef, ObjectRef
from shared.core.sealing import SealError
from shared.ir.status import InfraStatus
from tests.unit.translator.build import (
    ENVOY,
    FLEET,
    World,
    endpoints,
    gateway,
    gateway_class,
    grpc_route,
    http,
    https,
    made,
    quickstart,
    ref_of,
    route,
)
from tests.unit.translator.certificates import tls_secret


def test_quickstart_is_one_listener_with_one_route() -> None:
    (listener,) = World(*quickstart()).ir().http
    (only,) = listener.routes
    assert (listener.name, listener.port, listener.external_port) == ("default/eg/http", 10080, 80)
    assert only.destination is not None
    assert [(e.host, e.port) for s in only.destination.settings for e in s.endpoints] == [("10.1.1.1", 8080)]


def test_on_a_host_ports_stay() -> None:
    world = World(*quickstart(), running_on_host=True)
    assert world.ir().http[0].port == 80


def test_a_gateway_of_another_controller_is_not_ours() -> None:
    other = gateway_class()
    other["spec"]["controllerName"] = "example.com/other"
    world = World(other, *quickstart()[1:])
    assert not world.shards
    assert not world.statuses


def test_endpoints_gone_answer_503_and_come_back() -> None:
    world = World(*quickstart())
    world.put(endpoints("app"))
    answer = world.ir().http[0].routes[0].direct_response
    assert answer is not None
    assert answer.status_code == 503
    assert world.condition(route(), "BackendsAvailable") == ("False", "EndpointsNotFound")
    assert world.condition(route(), "ResolvedRefs") == ("True", "ResolvedRefs")
    world.put(endpoints("app", "10.1.1.9"))
    assert world.ir().http[0].routes[0].direct_response is None


def test_a_missing_service_answers_500() -> None:
    world = World(*quickstart()[:3])
    assert world.condition(route(), "ResolvedRefs") == ("False", "BackendNotFound")
    answer = world.ir().http[0].routes[0].direct_response
    assert answer is not None
    assert answer.status_code == 500


FILTER = {"group": ENVOY, "kind": "HTTPRouteFilter", "name": "absent"}


@pytest.mark.parametrize(
    ("rule", "condition", "reason"),
    [
        ({"matches": [{"path": {"type": "RegularExpression", "value": "("}}]}, "Accepted", "UnsupportedValue"),
        ({"filters": [{"type": "Unheard"}]}, "Accepted", "UnsupportedValue"),
        ({"filters": [{"type": "ExtensionRef", "extensionRef": FILTER}]}, "ResolvedRefs", "UnsupportedValue"),
        ({"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "ftp"}}]}, "Accepted", "UnsupportedValue"),
        ({"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "10.0.0.1"}}]}, "Accepted", "UnsupportedValue"),
        ({"backendRefs": [{"name": "app"}]}, "ResolvedRefs", "PortNotSpecified"),
        ({"backendRefs": [{"name": "app", "port": 81}]}, "ResolvedRefs", "PortNotFound"),
        ({"backendRefs": [{"name": "app", "port": 80, "namespace": "other"}]}, "ResolvedRefs", "RefNotPermitted"),
        ({"backendRefs": [{"name": "app", "port": 80, "kind": "Pod"}]}, "ResolvedRefs", "InvalidKind"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_a_condition(rule: dict[str, Any], condition: str, reason: str) -> None:
    world = World(*quickstart(), route("bad", rule=rule))
    assert world.condition(route("bad"), condition) == ("False", reason)
    assert world.condition(route(), "Accepted") == ("True", "Accepted")
    assert world.ir().http[0].routes


def test_a_wrong_field_type_costs_that_object_and_names_the_field() -> None:
    bad = route()
    bad["spec"]["rules"][0]["backendRefs"][0]["port"] = "eighty"
    world = World(*quickstart(), route("good", "/good"))
    world.put(bad)
    assert world.condition(bad, "Accepted") == ("False", "UnsupportedValue")
    message = world.status(bad)["parents"][0]["conditions"][0]["message"]
    assert "spec.rules[0].backendRefs[0].port" in message
    assert [r.name for r in world.ir().http[0].routes] == ["httproute/default/good/rule/0/match/0/*"]
    world.put(route())
    assert world.condition(route(), "Accepted") == ("True", "Accepted")
    assert len(world.ir().http[0].routes) == 2


def test_a_field_that_is_not_supported_yet_says_so() -> None:
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"}
    policy = made(f"{ENVOY}/v1alpha1", "BackendTrafficPolicy", "p", {"targetRefs": [target], "fromTheFuture": {}})
    world = World(*quickstart(), policy)
    assert world.condition(policy, "Accepted") == ("True", "Accepted")
    assert world.condition(policy, "Warning") == ("True", "UnsupportedField")


@pytest.mark.parametrize("on_host", [True, False])
def test_statistics_for_prometheus_are_not_to_be_had_on_a_host(on_host: bool) -> None:
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "p", {"telemetry": {"metrics": {"prometheus": {"disable": False}}}})
    of = gateway()
    of["spec"]["infrastructure"] = {"parametersRef": {"group": ENVOY, "kind": "EnvoyProxy", "name": "p"}}
    world = World(gateway_class(), of, proxy, running_on_host=on_host)
    assert world.condition(proxy, "Accepted") == ("True", "Accepted")
    warned = {c["type"] for a in world.status(proxy)["ancestors"] for c in a["conditions"]} - {"Accepted"}
    assert warned == ({"Warning"} if on_host else set())


def test_a_route_may_not_attach_where_its_namespace_is_not_allowed() -> None:
    foreign = route("foreign", parentRefs=[{"name": "eg", "namespace": "default"}])
    foreign["metadata"]["namespace"] = "other"
    world = World(*quickstart(), foreign)
    assert world.condition(foreign, "Accepted") == ("False", "NotAllowedByListeners")


def test_namespaces_without_an_object_have_their_name_as_label() -> None:
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "other"}}
    allowed = {"namespaces": {"from": "Selector", "selector": selector}}
    foreign = route("foreign", parentRefs=[{"name": "eg", "namespace": "default"}])
    foreign["metadata"]["namespace"] = "other"
    world = World(gateway_class(), gateway(http(allowedRoutes=allowed)), foreign)
    assert world.condition(foreign, "Accepted") == ("True", "Accepted")


def test_a_gateway_deleted_takes_its_fleet_with_it() -> None:
    world = World(*quickstart())
    world.drop(gateway())
    assert world.last.removed == {FLEET}
    assert world.last.infra == {FLEET: None}
    assert not world.shards
    assert {ref.kind for ref, _ in world.statuses} == {"GatewayClass"}


def test_merged_gateways_share_a_fleet() -> None:
    proxy = made(f"{ENVOY}/v1alpha1", "EnvoyProxy", "merged", {"mergeGateways": True})
    klass = gateway_class(parametersRef={"group": ENVOY, "kind": "EnvoyProxy", "name": "merged", "namespace": "default"})
    world = World(klass, proxy, gateway(http(port=80)), gateway(http(port=81), name="two"), *quickstart()[2:])
    assert list(world.shards) == [GatewayRef("", "eg")]
    assert [each.name for each in world.ir(GatewayRef("", "eg")).http] == ["default/eg/http", "default/two/http"]


def test_addresses_and_readiness_become_programmed() -> None:
    world = World(*quickstart())
    assert world.condition(gateway(), "Programmed") == ("False", "AddressNotAssigned")
    world.translator.apply_infra_status(FLEET, InfraStatus(addresses=("10.0.0.1",)))
    world.took(world.translator.apply({}))
    assert world.condition(gateway(), "Programmed") == ("False", "NoResources")
    world.translator.apply_infra_status(FLEET, InfraStatus(addresses=("10.0.0.1",), ready=True, replicas=1))
    world.took(world.translator.apply({}))
    assert world.condition(gateway(), "Programmed") == ("True", "Programmed")
    assert world.status(gateway())["addresses"] == [{"type": "IPAddress", "value": "10.0.0.1"}]


SECRET, OTHER = (ObjectRef("", "Secret", "default", name) for name in ("cert", "other"))


def test_an_unknown_secret_holds_back_its_listener_alone() -> None:
    world = World(gateway_class(), gateway(http(), https()), *quickstart()[2:])
    assert world.last.wants == {SECRET}
    assert world.last.pending == {FLEET: {SECRET}}
    assert [each.name for each in world.ir().http] == ["default/eg/http"]
    assert "default/eg" not in {g for ref, g in world.statuses if ref.kind == "Gateway"}
    world.time = 2.5
    world.took(world.translator.deadline_pending())
    assert world.status(gateway())["listeners"][1]["conditions"][0]["reason"] == "Pending"
    world.put(tls_secret())
    assert not world.last.pending
    assert [each.name for each in world.ir().http] == ["default/eg/http", "default/eg/https"]


def test_a_secret_that_is_absent_is_a_condition() -> None:
    world = World(gateway_class(), gateway(http(), https()), *quickstart()[2:])
    world.translator.answer_absent(SECRET)
    world.took(world.translator.apply({}))
    https_status = world.status(gateway())["listeners"][1]
    assert {c["type"]: c["reason"] for c in https_status["conditions"]}["ResolvedRefs"] == "InvalidCertificateRef"
    assert [each.name for each in world.ir().http] == ["default/eg/http"]


def test_several_absences_may_come_at_once() -> None:
    both = gateway(http(), https(), https("other", 8443, "other"))
    world = World(gateway_class(), both, *quickstart()[2:])
    world.translator.answer_absent(OTHER, SECRET)
    world.took(world.translator.apply({}))
    reasons = [{c["type"]: c["reason"] for c in each["conditions"]}["ResolvedRefs"] for each in world.status(both)["listeners"]]
    assert reasons == ["ResolvedRefs", "InvalidCertificateRef", "InvalidCertificateRef"]


def test_a_certificate_and_a_foreign_key_are_refused() -> None:
    broken = tls_secret()
    broken["data"]["tls.key"] = tls_secret("other")["data"]["tls.key"]
    world = World(gateway_class(), gateway(https()), broken)
    conditions = {c["type"]: c["reason"] for c in world.status(gateway())["listeners"][0]["conditions"]}
    assert conditions["ResolvedRefs"] == "InvalidCertificateRef"
    assert world.ir().http == ()


def test_private_keys_stay_as_they_came() -> None:
    secret = tls_secret()
    world = World(gateway_class(), gateway(https()), secret)
    tls = world.ir().http[0].tls
    assert tls is not None
    assert tls.certificates[0].private_key == secret["data"]["tls.key"]


def test_a_crash_costs_its_object(monkeypatch: pytest.MonkeyPatch) -> None:
    from services.translator.stages import rules

    real = rules._backends

    def crash(db: Any, at: ObjectRef, *rest: Any) -> Any:
        if at.name == "bad":
            raise RuntimeError("boom")
        return real(db, at, *rest)

    monkeypatch.setattr(rules, "_backends", crash)
    world = World(*quickstart(), route("bad", "/bad"))
    assert world.condition(route("bad"), "Accepted") == ("False", "UnsupportedValue")
    assert "boom" in world.status(route("bad"))["parents"][0]["conditions"][0]["message"]
    assert len(world.ir().http[0].routes) == 1


def test_provenance_names_the_objects_behind_a_shard() -> None:
    world = World(*quickstart())
    found = world.translator.provenance(FLEET, "http.http.HTTPRoute.default.app")
    assert {ref_of(o) for o in quickstart()[:4]} <= found


def test_a_token_that_no_key_opens_is_a_condition() -> None:
    def sealed(value: str) -> bytes:
        raise SealError("no key opens this token")

    translator = Translator(TranslatorSettings(), sealed)
    outputs = translator.apply({ref_of(o): o for o in (gateway_class(), gateway(https()), tls_secret())})
    status = outputs.statuses[ref_of(gateway()), "default/eg"]
    assert status is not None
    conditions = {c["type"]: c["reason"] for c in status.status["listeners"][0]["conditions"]}
    assert conditions["ResolvedRefs"] == "InvalidCertificateRef"


def test_listeners_of_one_name_are_kept_apart() -> None:
    world = World(gateway_class(), gateway(http("same", 80), http("same", 81)), *quickstart()[2:])
    assert [each.port for each in world.ir().http] == [10080, 10081]
    assert [len(each.routes) for each in world.ir().http] == [1, 1]
    assert [each["attachedRoutes"] for each in world.status(gateway())["listeners"]] == [1, 1]


def test_a_policy_that_cannot_be_carried_out_tells_the_gateways_of_its_route() -> None:
    target = {"group": "gateway.networking.k8s.io", "kind": "GRPCRoute", "name": "rpc"}
    policy = made(f"{ENVOY}/v1alpha1", "BackendTrafficPolicy", "p", {"targetRefs": [target], "connection": {"bufferLimit": "100m"}})
    assert World(*quickstart(), grpc_route(), policy).condition(policy, "Accepted") == ("False", "Invalid")
