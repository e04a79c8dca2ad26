"""What a client refuses: found by halves, not sent again; an address in use is offered again."""

from __future__ import annotations

import pytest

from services.xds_server.ads.outcomes import Accepted, PutOff, Rejected
from services.xds_server.render.types import CLUSTER, LISTENER
from tests.unit.xds_server.client import Client, changes, view


def test_a_refused_response_is_halved_until_the_refused_resource_stands_alone() -> None:
    client = Client(view("cds a=1 b=1 bad=1 d=1"))
    client.subscribes("cds")
    sent, outcomes = [], []
    while got := client.gets():
        sent += got
        outcomes += client.nacks("cds", "bad!") if "bad" in got[0] else client.acks("cds")
    assert sent == ["cds a=1 b=1 bad=1 d=1", "cds a=1 b=1", "cds bad=1 d=1", "cds bad=1", "cds d=1"]
    assert [o for o in outcomes if isinstance(o, Rejected)] == [Rejected((CLUSTER, "bad"), "1", "bad!")]
    client.view.apply(2, "t", changes("cds bad=2"))
    assert client.gets() == ["cds bad=2"]


def test_sotw_finds_the_refused_resource_by_halves_too() -> None:
    client = Client(view("cds a=1 b=1 bad=1"), delta=False)
    client.wants("cds")
    sent, outcomes = [], []
    while got := client.gets():
        sent += got
        if "bad" in got[0]:
            outcomes += client.nacks("cds", "bad!")
        else:
            client.wants("cds")
    assert sent == ["cds a=1 b=1 bad=1", "cds a=1", "cds a=1 b=1 bad=1", "cds a=1 b=1", "cds a=1 b=1 bad=1"]
    assert outcomes == [Rejected((CLUSTER, "bad"), "1", "bad!")]
    client.view.apply(2, "t", changes("cds bad=2"))
    assert client.gets() == ["cds a=1 b=1 bad=2"]


def test_a_refused_content_is_not_sent_again_to_who_refused_it() -> None:
    client = Client(view("cds a=1"))
    client.subscribes("cds")
    client.gets_and_acks()
    client.view.apply(2, "t", changes("cds a=2"))
    client.gets()
    client.nacks("cds")
    client.view.apply(3, "t", changes("cds b=1"))
    assert client.gets_and_acks() == ["cds b=1"]
    client.view.apply(4, "t", changes("cds a=1"))
    assert client.gets() == []
    assert client.stream.acked_version == 4


IN_USE = "error adding listener 'a': cannot bind '0.0.0.0:80': Address already in use"


def test_what_an_address_in_use_refuses_is_offered_again_at_growing_intervals() -> None:
    client = Client(view("lds a=1"))
    client.subscribes("lds")
    assert client.gets() == ["lds a=1"]
    assert client.nacks("lds", IN_USE) == [PutOff((LISTENER, "a"), "1")]
    for pause in (1, 2, 4, 8, 16, 30, 30):
        assert client.gets() == []
        assert client.stream.waiting == {(LISTENER, "a"): IN_USE}
        assert client.stream.until == client.now + pause
        client.now += pause - 0.01
        assert client.gets() == []
        client.now += 0.01
        assert client.gets() == ["lds a=1"]
        client.nacks("lds", IN_USE)
    client.now += 31
    client.gets()
    client.now += 31
    assert client.gets() == ["lds a=1"]
    assert client.acks("lds") == [Accepted({(LISTENER, "a"): "1"}, healed=True)]
    assert client.gets() == []
    assert client.stream.waiting == {}
    assert client.stream.until is None


def test_what_waits_for_an_address_holds_back_nothing_else() -> None:
    client = Client(view("cds x=1", "lds a=1 b=1"))
    client.subscribes("cds")
    client.subscribes("lds")
    client.gets()
    client.acks("cds")
    client.gets()
    client.nacks("lds", IN_USE)
    assert client.gets() == ["lds a=1"]
    client.nacks("lds", IN_USE)
    assert client.gets_and_acks() == ["lds b=1"]
    assert client.stream.acked_version == 1
    client.view.apply(2, "t", changes("cds -x", "lds b=2"))
    assert client.gets_and_acks() == ["lds b=2", "cds -x"]
    assert client.stream.acked_version == 2


@pytest.mark.parametrize("change", ["lds a=2", "lds -a"])
def test_another_content_does_not_wait_for_the_first_ones_time(change: str) -> None:
    client = Client(view("lds a=1"))
    client.subscribes("lds")
    client.gets()
    client.nacks("lds", IN_USE)
    client.gets()
    client.view.apply(2, "t", changes(change))
    assert client.gets() == ([change] if "=" in change else [])
    assert client.stream.waiting == {}


def test_a_new_stream_is_offered_it_at_once() -> None:
    client = Client(view("lds a=1"))
    client.subscribes("lds")
    client.gets()
    client.nacks("lds", IN_USE)
    assert client.gets() == []
    again = Client(client.view)
    again.subscribes("lds")
    assert again.gets() == ["lds a=1"]
