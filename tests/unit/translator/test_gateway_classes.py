"""What a class of ours claims, and Gateways whose parameters are not for us."""

from __future__ import annotations

from tests.unit.translator.build import World, gateway, gateway_class, http


def test_an_accepted_class_claims_the_features_in_alphabetical_order() -> None:
    class_ = gateway_class()
    names = [f["name"] for f in World(class_).status(class_, "")["supportedFeatures"]]
    assert {"Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ReferenceGrant"} <= set(names)
    assert names == sorted(set(names))


def test_what_only_proxies_in_their_gateways_namespace_show_is_claimed_only_there() -> None:
    class_ = gateway_class()

    def claimed(**settings: bool) -> set[str]:
        return {f["name"] for f in World(class_, **settings).status(class_, "")["supportedFeatures"]}

    assert claimed(gateway_namespace_mode=True) - claimed() == {"GatewayInfrastructurePropagation"}


def test_a_class_that_is_not_accepted_claims_nothing() -> None:
    class_ = gateway_class(parametersRef={"group": "invalid.io", "kind": "Parameters", "name": "p"})
    assert "supportedFeatures" not in World(class_).status(class_, "")


def test_a_gateway_with_parameters_of_another_kind_is_not_accepted() -> None:
    gateway_ = gateway(http(), infrastructure={"parametersRef": {"group": "invalid.io", "kind": "Parameters", "name": "p"}})
    world = World(gateway_class(), gateway_)
    assert world.condition(gateway_, "Accepted") == ("False", "InvalidParameters")
    assert world.condition(gateway_, "Programmed") == ("False", "Invalid")
