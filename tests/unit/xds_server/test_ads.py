"""Exchanges with one client: what it says, what it is told, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from services.xds_server.ads.messages import Request, Response, delta_request, delta_response, sotw_request, sotw_response
from services.xds_server.ads.outcomes import Accepted, Outcome, PutOff, Rejected
from services.xds_server.ads.stream import Limits, Stream
from services.xds_server.ads.view import View
from services.xds_server.render.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET
from services.xds_server.resources import Resource, ResourceChanges, TypeChanges
from shared.xds.message import build, decode

SHORT = {"lds": LISTENER, "rds": ROUTE, "cds": CLUSTER, "eds": ENDPOINT, "sds": SECRET}
LIMITS = Limits(stage=3.0, behind=5.0)


def changes(*texts: str) -> ResourceChanges:
    """`cds a=1`, `cds -a`; `cds a=1>eds:a` names what it needs, `lds a=1@80` its address."""
    out: ResourceChanges = {}
    for text in texts:
        short, *items = text.split()
        change = out.setdefault(SHORT[short], TypeChanges({}, frozenset()))
        for item in items:
            if item.startswith("-"):
                out[SHORT[short]] = change = change._replace(removals=change.removals | {item[1:]})
                continue
            what, _, needs = item.partition(">")
            name, _, content = what.partition("=")
            content, _, place = content.partition("@")
            found = tuple((SHORT[n.split(":")[0]], n.split(":")[1]) for n in needs.split(",") if n)
            change.upserts[name] = Resource(name, content, f"{name}={content}".encode(), found, place)
    return out


class Client:
    """A client of one view: `says` sends, `gets` shows what came as `cds a=1 -b`."""

    def __init__(self, view: View, *, delta: bool = True) -> None:
        self.view = view
        self.stream = Stream(view, delta=delta, limits=LIMITS)
        self.now = 100.0
        self.last: dict[str, Response] = {}

    def subscribes(self, short: str, *names: str, initial: dict[str, str] | None = None) -> None:
        self.stream.on_request(Request(SHORT[short], subscribe=names, initial=tuple((initial or {}).items())))

    def unsubscribes(self, short: str, *names: str) -> None:
        self.stream.on_request(Request(SHORT[short], unsubscribe=names))

    def wants(self, short: str, *names: str, version: str = "") -> None:
        """State of the world: a request with names, acknowledging what came last."""
        last = self.last.get(SHORT[short])
        self.stream.on_request(Request(SHORT[short], nonce=last.nonce if last else "", names=names, version=version))

    def acks(self, *shorts: str) -> list[Outcome]:
        return [o for s in shorts for o in self.stream.on_request(Request(SHORT[s], nonce=self.last[SHORT[s]].nonce))]

    def nacks(self, short: str, detail: str = "no") -> list[Outcome]:
        return self.stream.on_request(Request(SHORT[short], nonce=self.last[SHORT[short]].nonce, error=detail))

    def gets(self) -> list[str]:
        out = []
        for response in self.stream.poll(self.now):
            self.last[response.type_url] = response
            short = next(k for k, v in SHORT.items() if v == response.type_url)
            items = [f"{r.name}={r.version.rpartition('-')[2]}" for r in response.resources]
            out.append(" ".join([short, *items, *(f"-{n}" for n in response.removed)]))
        return out

    def gets_and_acks(self) -> list[str]:
        """All that comes until nothing comes any more, everything acknowledged at once."""
        out: list[str] = []
        while got := self.gets():
            out += got
            self.acks(*(g.split()[0] for g in got))
        return out


def view(*texts: str, version: int = 1) -> View:
    made = View()
    made.apply(version, "t", changes(*texts))
    return made


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
