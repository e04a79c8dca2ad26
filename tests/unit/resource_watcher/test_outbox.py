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
