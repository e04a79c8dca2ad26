"""What nothing reads is found, wherever it stands."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.unknown import unknown_fields


class Inner(Spec, frozen=True):
    known_well: int = 0


class Outer(Spec, frozen=True):
    one: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] | None = None
    free: dict[str, object] | None = None
    text: str | int = ""


def test_everything_known_is_nothing_unknown() -> None:
    written = {"one": {"knownWell": 1}, "many": [{}], "named": {"a": {"knownWell": 2}}, "free": {"x": {"y": 1}}, "text": 3}
    assert unknown_fields(written, Outer) == ()


def test_each_unknown_field_is_named_by_its_path() -> None:
    written = {"one": {"other": 1}, "many": [{}, {"knownWell": 1, "odd": {"deep": 1}}], "named": {"a": {"b": 1}}, "more": []}
    assert unknown_fields(written, Outer) == ("one.other", "many[1].odd", "named.a.b", "more")
