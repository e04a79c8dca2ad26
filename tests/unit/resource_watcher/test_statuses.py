"""Statuses joined from their Gateways' parts; times move only with what they time."""

from __future__ import annotations

from typing import Any

from services.resource_watcher.stages.statuses import merge, stamp


def condition(status: str, **more: str) -> dict[str, str]:
    return {"type": "Accepted", "status": status, "reason": "R", **more}


def test_parts_join_in_the_order_of_their_gateways() -> None:
    parts = {"ns/b": {"parents": [{"parentRef": {"name": "b"}}]}, "ns/a": {"parents": [{"parentRef": {"name": "a"}}]}}
    assert [p["parentRef"]["name"] for p in merge(parts)["parents"]] == ["a", "b"]


def test_a_transition_time_is_kept_while_the_status_is_the_same() -> None:
    before = stamp({"parents": [{"parentRef": {"name": "a"}, "conditions": [condition("True")]}]}, None, "t1")
    again = stamp({"parents": [{"parentRef": {"name": "a"}, "conditions": [condition("True", message="new")]}]}, before, "t2")
    assert again["parents"][0]["conditions"][0] == condition("True", message="new", lastTransitionTime="t1")
    changed = stamp({"parents": [{"parentRef": {"name": "a"}, "conditions": [condition("False")]}]}, again, "t3")
    assert changed["parents"][0]["conditions"][0]["lastTransitionTime"] == "t3"


def test_times_are_told_apart_by_parent() -> None:
    before = stamp({"parents": [{"parentRef": {"name": "a"}, "conditions": [condition("True")]}]}, None, "t1")
    now = stamp({"parents": [{"parentRef": {"name": n}, "conditions": [condition("True")]} for n in "ba"]}, before, "t2")
    assert [p["conditions"][0]["lastTransitionTime"] for p in now["parents"]] == ["t2", "t1"]


def ancestor(name: str, **conditions: str) -> dict[str, Any]:
    shown = [{"type": kind, "status": status, "reason": kind, "observedGeneration": 3} for kind, status in conditions.items()]
    return {"ancestorRef": {"namespace": "ns", "name": name}, "conditions": shown}


def test_of_many_ancestors_the_unlucky_ones_are_shown_and_the_last_tells_of_more() -> None:
    good = [ancestor(f"good-{i:02}", Accepted="True") for i in range(20)]
    merged = merge({"a": {"ancestors": good}, "b": {"ancestors": [ancestor("bad", Accepted="False"), ancestor("over", Overridden="True")]}})
    names = [a["ancestorRef"]["name"] for a in merged["ancestors"]]
    assert names == ["bad", "over", *(f"good-{i:02}" for i in range(14))]
    last = merged["ancestors"][-1]["conditions"]
    assert [(c["type"], c["observedGeneration"]) for c in last] == [("Accepted", 3), ("Aggregated", 3)]


def test_sixteen_ancestors_are_not_too_many() -> None:
    every = [ancestor(f"{i:02}", Accepted="True") for i in range(16)]
    assert merge({"a": {"ancestors": every}}) == {"ancestors": every}
