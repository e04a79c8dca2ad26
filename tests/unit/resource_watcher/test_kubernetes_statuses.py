"""Statuses beside those of other controllers, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest

from services.resource_watcher.providers.kubernetes.statuses import MOST, holds, ours, together

OURS, THEIRS = "example.com/ours", "example.com/theirs"


def parent(controller: str, name: str = "gw", **more: Any) -> dict[str, Any]:
    return {"controllerName": controller, "parentRef": {"name": name}, **more}


def test_ours_is_what_bears_our_name() -> None:
    assert ours({"parents": [parent(THEIRS), parent(OURS)]}, OURS) == {"parents": [parent(OURS)]}
    assert ours({"parents": [parent(THEIRS)]}, OURS) is None
    assert ours({"addresses": [], "conditions": [{"type": "A"}]}, OURS) == {"conditions": [{"type": "A"}]}


def test_nobodys_entries_are_moved() -> None:
    now = {"parents": [parent(OURS, "a", old=True), parent(THEIRS), parent(OURS, "gone")]}
    own = {"parents": [parent(OURS, "b"), parent(OURS, "a")]}
    assert together(own, now, OURS) == {"parents": [parent(OURS, "a"), parent(THEIRS), parent(OURS, "b")]}
    assert together(None, now, OURS) == {"parents": [parent(THEIRS)]}
    assert together(None, {}, OURS) == {}


def test_of_a_status_that_was_some_list_stays() -> None:
    assert together(None, {"parents": [parent(OURS)]}, OURS) == {"parents": []}
    assert together(None, {"conditions": [{"type": "A"}], "addresses": []}, OURS) == {"conditions": []}


def test_what_a_server_fills_in_does_not_make_another_entry() -> None:
    filled = {"controllerName": OURS, "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}}
    assert together({"parents": [parent(OURS)]}, {"parents": [filled, parent(THEIRS)]}, OURS)["parents"] == [parent(OURS), parent(THEIRS)]
    assert holds({"parents": [filled]}, {"parents": [parent(OURS)]})


def test_a_list_has_its_limit() -> None:
    many = {"ancestors": [{"controllerName": THEIRS, "ancestorRef": {"name": str(n)}} for n in range(20)]}
    assert len(together(None, many, OURS)["ancestors"]) == MOST["ancestors"]


@pytest.mark.parametrize(
    ("now", "wanted", "held"),
    [
        ({"conditions": [{"type": "B"}, {"type": "A", "status": "True"}]}, {"conditions": [{"type": "A", "status": "True"}]}, True),
        ({"conditions": [{"type": "A", "status": "False"}]}, {"conditions": [{"type": "A", "status": "True"}]}, False),
        ({}, {"conditions": [{"type": "A"}]}, False),
        ({"addresses": [{"type": "IPAddress", "value": "1"}]}, {"addresses": [{"type": "IPAddress", "value": "1"}]}, True),
        ({"addresses": [{"type": "IPAddress", "value": "1"}, {"type": "IPAddress", "value": "2"}]}, {"addresses": []}, False),
        (None, {}, False),
        ({"parents": None}, {"parents": [parent(OURS)]}, False),
    ],
)
def test_a_status_holds_ours_whatever_else_it_says(now: Any, wanted: dict[str, Any], held: bool) -> None:
    assert holds(now, wanted) is held
