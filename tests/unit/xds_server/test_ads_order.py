"""The order in which a client is told: what others need first, removals last, addresses given up before they are taken."""

from __future__ import annotations

from services.xds_server.ads.outcomes import Rejected
from services.xds_server.render.types import ROUTE
from tests.unit.xds_server.client import Client, changes, view


def test_what_others_need_is_added_first() -> None:
    client = Client(view("cds old=1>eds:old", "eds old=1", "lds l=1>rds:r", "rds r=1"))
    for short in ("cds", "lds"):
        client.subscribes(short)
    client.subscribes("eds", "old")
    client.subscribes("rds", "r")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds new=1>eds:new", "eds new=1", "lds l=2>rds:r", "rds r=2"))
    assert client.gets() == ["cds new=1"]
    client.acks("cds")
    assert client.gets() == []
    client.subscribes("eds", "new")
    assert client.gets() == ["eds new=1"]
    client.acks("eds")
    assert client.gets() == ["lds l=2"]
    client.acks("lds")
    assert client.gets() == ["rds r=2"]
    assert client.stream.acked_version == 1
    client.acks("rds")
    client.gets()
    assert client.stream.acked_version == 2


def test_a_listener_goes_with_the_one_that_takes_its_address() -> None:
    client = Client(view("lds old=1"))
    client.subscribes("lds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("lds -old new=1 bad=1"))
    assert client.gets() == ["lds bad=1 new=1 -old"]
    client.nacks("lds")
    assert client.gets() == ["lds bad=1 -old"]
    client.nacks("lds")
    assert client.gets() == ["lds new=1 -old"]
    client.acks("lds")
    assert client.gets() == []


def test_waiting_for_an_acknowledgement_ends() -> None:
    client = Client(view("cds a=1>eds:a", "eds a=1", "rds r=1"))
    client.subscribes("cds")
    client.subscribes("rds", "r")
    assert client.gets() == ["cds a=1"]
    assert client.gets() == []
    assert client.stream.until == 103.0
    client.now += 3.0
    assert client.gets() == ["rds r=1"]


def routed() -> Client:
    """A client that was sent new routes just now, and has more to come."""
    client = Client(view("rds r=1"))
    client.subscribes("rds", "r")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("rds r=2"))
    assert client.gets() == ["rds r=2"]
    client.view.apply(3, "t", changes("rds r=3"))
    return client


def test_routes_that_take_long_are_followed_by_a_rest_as_long() -> None:
    client = routed()
    client.now += 0.1
    client.acks("rds")
    assert client.gets() == []
    assert client.stream.until is not None
    assert abs(client.stream.until - (client.now + 0.1)) < 1e-6
    client.view.apply(4, "t", changes("rds r=4"))
    client.now += 0.11
    assert client.gets() == ["rds r=4"], "what changed meanwhile goes with it"
    client.now += 60
    client.acks("rds")
    client.view.apply(5, "t", changes("rds r=5"))
    assert client.gets() == []
    client.now += 0.21
    assert client.gets() == ["rds r=5"], "no rest is longer than a fifth of a second"


def test_what_is_taken_at_once_needs_no_rest() -> None:
    client = routed()
    client.now += 0.01
    client.acks("rds")
    assert client.gets() == ["rds r=3"]
    client.now += 0.1
    client.acks("rds")
    client.gets()
    client.now += 1
    client.view.apply(4, "t", changes("rds r=4"))
    assert client.gets() == ["rds r=4"], "it had its rest"


def test_removals_come_last_clusters_after_the_routes_that_named_them() -> None:
    client = Client(view("cds a=1>eds:a", "eds a=1", "lds l=1 m=1", "rds r=1"))
    client.subscribes("cds")
    client.subscribes("lds")
    client.subscribes("eds", "a")
    client.subscribes("rds", "r")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds -a b=1", "eds -a", "lds -m", "rds r=2"))
    assert client.gets() == ["cds b=1"]
    client.acks("cds")
    assert client.gets() == ["rds r=2"]
    assert client.gets() == []
    client.acks("rds")
    assert client.gets() == ["lds -m"]
    client.acks("lds")
    assert client.gets() == ["cds -a"]
    client.unsubscribes("eds", "a")
    client.acks("cds")
    assert client.gets() == []
    assert client.stream.acked_version == 2


def test_what_a_refused_route_may_still_use_is_not_removed() -> None:
    client = Client(view("cds a=1", "rds r=1"))
    client.subscribes("cds")
    client.subscribes("rds", "r")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds -a b=1", "rds r=2"))
    client.gets()
    client.acks("cds")
    assert client.gets() == ["rds r=2"]
    assert client.nacks("rds", "bad") == [Rejected((ROUTE, "r"), "2", "bad")]
    client.now += 60
    assert client.gets() == []
    client.view.apply(3, "t", changes("rds r=3"))
    assert client.gets_and_acks() == ["rds r=3", "cds -a"]


def test_sotw_keeps_a_cluster_in_until_the_routes_are_moved() -> None:
    client = Client(view("cds a=1", "rds r=1"), delta=False)
    client.wants("cds")
    client.wants("rds", "r")
    client.gets()
    client.wants("cds")
    client.gets()
    client.wants("rds", "r")
    client.view.apply(2, "t", changes("cds -a b=1", "rds r=2"))
    assert client.gets() == ["cds a=1 b=1"]
    client.wants("cds")
    assert client.gets() == ["rds r=2"]
    client.wants("rds", "r")
    assert client.gets() == ["cds b=1"]


def test_a_listener_takes_an_address_after_it_is_given_up() -> None:
    client = Client(view("lds a=1@80 b=1@81 c=1@90"))
    client.subscribes("lds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("lds a=2@81 b=2@82 c=2@90"))
    assert client.gets_and_acks() == ["lds b=2 c=2", "lds a=2"]


def test_listeners_that_swap_addresses_have_one_of_them_removed_and_set_again() -> None:
    client = Client(view("lds a=1@80 b=1@81 c=1@90"))
    client.subscribes("lds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("lds a=2@81 b=2@80 c=2@90"))
    assert client.gets_and_acks() == ["lds c=2", "lds -a", "lds b=2", "lds a=2"]
    assert client.stream.acked_version == 2


def test_after_a_reconnect_too_addresses_are_given_up_first() -> None:
    first = view("lds a=1@80 b=1@81")
    client = Client(first)
    client.subscribes("lds", initial={"a": "1.t-1", "b": "1.t-1"})
    assert client.gets_and_acks() == []
    client.view.apply(2, "t", changes("lds a=2@81 b=2@82"))
    assert client.gets_and_acks() == ["lds b=2", "lds a=2"]
