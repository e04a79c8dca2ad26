"""Exchanges with one client: what it says, what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from services.xds_server.ads.messages import Request, Response, delta_request, delta_response, sotw_request, sotw_response
from services.xds_server.ads.outcomes import Accepted
from services.xds_server.ads.view import View
from services.xds_server.render.types import CLUSTER
from services.xds_server.resources import Resource
from shared.xds.message import build, decode
from tests.unit.xds_server.client import Client, changes, view


def test_a_wildcard_subscription_gets_everything_and_then_what_changes() -> None:
    client = Client(view("cds a=1 b=1"))
    client.subscribes("cds")
    assert client.gets() == ["cds a=1 b=1"]
    assert client.gets() == []
    client.acks("cds")
    client.view.apply(2, "t", changes("cds b=2 c=1"))
    assert client.gets() == ["cds b=2 c=1"]


def test_an_explicit_subscription_gets_what_it_names() -> None:
    client = Client(view("rds a=1 b=1"))
    client.subscribes("rds", "a")
    assert client.gets() == ["rds a=1"]
    client.acks("rds")
    client.subscribes("rds", "b")
    assert client.gets() == ["rds b=1"]
    client.acks("rds")
    client.view.apply(2, "t", changes("rds c=1"))
    assert client.gets() == []


def test_a_name_that_does_not_exist_is_said_to_be_absent_and_comes_when_it_does() -> None:
    client = Client(view("rds a=1"))
    client.subscribes("rds", "later")
    assert client.gets() == ["rds -later"]
    client.acks("rds")
    client.view.apply(2, "t", changes("rds later=1"))
    assert client.gets() == ["rds later=1"]


def test_an_unsubscribed_name_is_not_sent_any_more_and_comes_again_when_subscribed_again() -> None:
    client = Client(view("sds a=1"))
    client.subscribes("sds", "a")
    assert client.gets_and_acks() == ["sds a=1"]
    client.unsubscribes("sds", "a")
    client.view.apply(2, "t", changes("sds a=2"))
    assert client.gets() == []
    client.subscribes("sds", "a")
    assert client.gets() == ["sds a=2"]


def test_subscribing_again_to_a_held_name_sends_it_again() -> None:
    client = Client(view("sds a=1"))
    client.subscribes("sds", "a")
    assert client.gets_and_acks() == ["sds a=1"]
    client.subscribes("sds", "a")
    assert client.gets() == ["sds a=1"]


def test_without_the_wildcard_only_the_names_stay() -> None:
    client = Client(view("cds a=1 b=1"))
    client.subscribes("cds", "*", "a")
    assert client.gets_and_acks() == ["cds a=1 b=1"]
    client.unsubscribes("cds", "*")
    client.view.apply(2, "t", changes("cds a=2 b=2"))
    assert client.gets() == ["cds a=2"]


def test_a_name_unsubscribed_under_the_wildcard_is_told_again() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds", "*", "a")
    assert client.gets_and_acks() == ["cds a=1"]
    client.unsubscribes("cds", "a")
    assert client.gets() == ["cds a=1"]


def test_changes_wait_for_the_answer_in_flight_and_come_as_one() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds")
    client.gets()
    client.view.apply(2, "t", changes("cds a=2"))
    client.view.apply(3, "t", changes("cds a=3"))
    assert client.gets() == []
    client.acks("cds")
    assert client.gets() == ["cds a=3"]


def test_a_stale_nonce_acknowledges_nothing() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds")
    client.gets()
    assert client.stream.on_request(Request(CLUSTER, nonce="nobody")) == []
    client.view.apply(2, "t", changes("cds a=2"))
    assert client.gets() == []
    assert client.acks("cds") == [Accepted({(CLUSTER, "a"): "1"})]


def test_an_empty_gateway_answers_a_client_that_starts() -> None:
    client = Client(view())
    client.subscribes("cds")
    client.subscribes("lds")
    assert client.gets() == ["cds", "lds"]


def test_an_unknown_gateway_answers_nothing() -> None:
    client = Client(View())
    client.subscribes("cds")
    assert client.gets() == []
    client.view.apply(1, "t", changes("cds a=1"))
    assert client.gets() == ["cds a=1"]


def test_a_reconnect_with_the_same_content_gets_nothing() -> None:
    client = Client(view("cds a=1 b=1", "sds s=1", version=9))
    client.subscribes("cds", initial={"a": "4.t-1", "b": "9.t-1"})
    client.subscribes("sds", "s", initial={"s": "2.other-1"})
    assert client.gets() == []
    assert client.stream.acked_version == 9


def test_a_reconnect_gets_what_changed_and_what_went_away_meanwhile() -> None:
    client = Client(view("cds a=2 b=1", version=9))
    client.subscribes("cds", initial={"a": "4.t-1", "b": "4.t-1", "gone": "4.t-1"})
    assert client.gets_and_acks() == ["cds a=2", "cds -gone"]


def test_a_replica_behind_what_the_client_has_waits_but_not_for_ever() -> None:
    client = Client(view("cds a=1", version=3))
    client.subscribes("cds", initial={"a": "5.t-2"})
    assert client.gets() == []
    assert client.stream.until == 105.0
    client.view.apply(5, "t", changes("cds a=2"))
    assert client.gets() == []
    assert client.stream.acked_version == 5
    other = Client(view("cds a=1", version=3))
    other.subscribes("cds", initial={"a": "5.t-2"})
    other.gets()
    other.now += 5.0
    assert other.gets() == ["cds a=1"]


def test_versions_of_another_incarnation_are_no_reason_to_wait() -> None:
    client = Client(view("cds a=1", version=3))
    client.subscribes("cds", initial={"a": "500.u-2"})
    assert client.gets() == ["cds a=1"]


def test_a_removed_and_recreated_resource_is_sent_again() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds -a"))
    assert client.gets_and_acks() == ["cds -a"]
    client.view.apply(3, "t", changes("cds a=1"))
    assert client.gets() == ["cds a=1"]


def test_removed_and_recreated_before_anyone_looked_is_no_change() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds -a"))
    client.view.apply(3, "t", changes("cds a=1"))
    assert client.gets() == []


def test_a_changed_cluster_has_its_endpoints_and_secrets_said_again() -> None:
    client = Client(view("cds a=1>eds:a,sds:s", "eds a=1", "sds s=1"))
    client.subscribes("cds")
    client.subscribes("eds", "a")
    client.subscribes("sds", "s")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds a=2>eds:a,sds:s"))
    assert client.gets() == ["cds a=2", "eds a=1", "sds s=1"]


def test_a_client_that_looks_away_for_long_still_finds_everything() -> None:
    client = Client(view("cds a=1 gone=1"))
    client.subscribes("cds")
    client.gets_and_acks()
    for n in range(2, 6000):
        client.view.apply(n, "t", changes(f"cds busy={n}"))
    client.view.apply(6000, "t", changes("cds -gone a=2"))
    for n in range(6001, 11000):
        client.view.apply(n, "t", changes(f"cds busy={n}"))
    assert client.gets_and_acks() == ["cds a=2 busy=10999", "cds -gone"]


@pytest.mark.parametrize("short", ["cds", "lds"])
def test_sotw_sends_all_of_a_nameless_type_whenever_one_changes(short: str) -> None:
    client = Client(view(f"{short} a=1 b=1"), delta=False)
    client.wants(short)
    assert client.gets() == [f"{short} a=1 b=1"]
    client.wants(short)
    assert client.gets() == []
    client.view.apply(2, "t", changes(f"{short} b=2"))
    assert client.gets() == [f"{short} a=1 b=2"]
    client.wants(short)
    client.view.apply(3, "t", changes(f"{short} -a"))
    assert client.gets() == [f"{short} b=2"]


def test_sotw_names_decide_for_the_other_types() -> None:
    client = Client(view("eds a=1 b=1"), delta=False)
    client.wants("eds", "a")
    assert client.gets() == ["eds a=1"]
    client.wants("eds", "a", "b")
    assert client.gets() == ["eds a=1 b=1"]
    client.wants("eds", "b")
    client.view.apply(2, "t", changes("eds a=2"))
    assert client.gets() == []


def test_sotw_reconnect_with_the_version_it_has_gets_nothing() -> None:
    first = Client(view("cds a=1 b=1"), delta=False)
    first.wants("cds")
    first.gets()
    again = Client(view("cds a=1 b=1", version=7), delta=False)
    again.wants("cds", version=first.last[CLUSTER].version)
    assert again.gets() == []
    other = Client(view("cds a=1 b=2", version=7), delta=False)
    other.wants("cds", version=first.last[CLUSTER].version)
    assert other.gets() == ["cds a=1 b=2"]


def test_messages_on_the_wire() -> None:
    fields: dict[str, Any] = {
        "type_url": CLUSTER,
        "node": {"id": "n", "cluster": "default/eg"},
        "resource_names_subscribe": ["a"],
        "initial_resource_versions": {"a": "1.t-1"},
        "error_detail": {"message": "no"},
        "response_nonce": "7",
    }
    request, node = delta_request(build("envoy.service.discovery.v3.DeltaDiscoveryRequest", fields).SerializeToString())
    assert request == Request(CLUSTER, "7", "no", subscribe=("a",), initial=(("a", "1.t-1"),))
    assert node is not None
    assert node.cluster == "default/eg"
    plain = build("envoy.service.discovery.v3.DiscoveryRequest", {"type_url": CLUSTER, "resource_names": ["a"], "version_info": "v"})
    assert sotw_request(plain.SerializeToString()) == (Request(CLUSTER, names=("a",), version="v"), None)
    any_bytes = build("google.protobuf.Any", {"type_url": CLUSTER, "value": b"x"}).SerializeToString()
    response = Response(CLUSTER, "8", "3", (Resource("a", "3.t-1", any_bytes),), ("b",))
    delta = decode("envoy.service.discovery.v3.DeltaDiscoveryResponse", delta_response(response))
    assert (delta.system_version_info, delta.nonce, delta.type_url, list(delta.removed_resources)) == ("3", "8", CLUSTER, ["b"])
    assert (delta.resources[0].name, delta.resources[0].version, delta.resources[0].resource.value) == ("a", "3.t-1", b"x")
    sotw = decode("envoy.service.discovery.v3.DiscoveryResponse", sotw_response(response))
    assert (sotw.version_info, sotw.nonce, sotw.resources[0].type_url) == ("3", "8", CLUSTER)
