"""Private kinds leave only when wanted, and absence is said only once it is known."""

from __future__ import annotations

from typing import Any

from services.resource_watcher.stages.outbox import ABSENT, Outbox
from shared.core.refs import ObjectRef

SECRET = ObjectRef("", "Secret", "default", "s")
SERVICE = ObjectRef("", "Service", "default", "a")


def secret() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": "v"}}


def test_a_secret_waits_until_it_is_wanted() -> None:
    box = Outbox(lambda _: "sealed")
    assert box.update({SECRET: secret()}, {}) == {}
    puts = box.want({SECRET: True})
    assert b'"k":"sealed"' in (puts[SECRET] or b"")
    box.complete = True
    assert box.want({SECRET: False}) == {SECRET: None}


def test_absence_is_told_only_after_the_first_whole_list() -> None:
    box = Outbox(lambda _: "sealed")
    assert box.want({SECRET: True}) == {SECRET: None}
    assert box.values() == {}
    box.complete = True
    assert box.values() == {SECRET: ABSENT}
    assert box.update({SECRET: secret()}, {})[SECRET] != ABSENT
    assert box.update({SECRET: None}, {}) == {SECRET: ABSENT}


def test_an_object_that_cannot_be_published_stays_as_it_was_and_is_told() -> None:
    box = Outbox(lambda _: "sealed")
    box.complete = True
    box.want({SECRET: True})
    box.update({SECRET: secret()}, {SECRET: "f.yaml"})
    assert box.update({SECRET: {**secret(), "stringData": {"k": 3}}}, {SECRET: "f.yaml"}) == {}
    assert [(p.where, p.message) for p in box.problems()] == [("f.yaml", "stringData.k: expected text")]
    assert SECRET in box
    box.update({SECRET: secret()}, {})
    assert box.problems() == ()


def test_other_kinds_leave_at_once() -> None:
    box = Outbox(lambda _: "")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "default"}}
    assert list(box.update({SERVICE: service}, {})) == [SERVICE]
    assert box.update({SERVICE: None}, {}) == {SERVICE: None}


def test_what_cannot_be_read_now_is_not_absent() -> None:
    box = Outbox(lambda _: "sealed")
    box.want({SECRET: True})
    box.retain(SECRET, b"as the bus has it")
    box.complete = True
    assert box.values() == {SECRET: b"as the bus has it"}
    assert box.want({SECRET: False}) == {SECRET: None}
    assert box.want({SECRET: True}) == {SECRET: b"as the bus has it"}
    assert box.release(SECRET) == {SECRET: ABSENT}
    assert box.release(SECRET) == {}


def test_an_answer_of_absent_is_not_retained() -> None:
    box = Outbox(lambda _: "sealed")
    box.retain(SECRET, ABSENT)
    assert box.values() == {}


def test_what_is_read_again_takes_the_place_of_what_was_retained() -> None:
    box = Outbox(lambda _: "sealed")
    box.complete = True
    box.want({SECRET: True})
    box.retain(SECRET, b"old")
    assert box.update({SECRET: {**secret(), "stringData": {"k": 3}}}, {}) == {}
    assert box.refuses(SECRET)
    assert box.values() == {SECRET: b"old"}
    assert box.update({SECRET: secret()}, {})[SECRET] != b"old"
    assert box.release(SECRET) == {}
    assert box.update({SECRET: None}, {}) == {SECRET: ABSENT}
