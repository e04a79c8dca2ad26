"""Text to objects: what Kubernetes would take is taken, and everything else says why not."""

from __future__ import annotations

import pytest

from services.resource_watcher.stages import documents
from services.resource_watcher.stages.documents import DocumentError


def parse_all(text: str) -> list[dict[str, object]]:
    return [o for d in documents.split(text) for o in documents.parse(d)]


def test_documents_are_split_at_their_separators_with_their_lines() -> None:
    found = list(documents.split("# nothing\n---\na: 1\n--- # again\n\nb: 2\n"))
    assert [(d.line, d.text.strip()) for d in found] == [(1, "# nothing"), (2, "a: 1"), (4, "b: 2")]


def test_json_is_read_as_yaml_is() -> None:
    assert parse_all('{"kind": "Gateway", "spec": {"x": [1, true, null]}}') == [{"kind": "Gateway", "spec": {"x": [1, True, None]}}]


def test_lists_give_their_items() -> None:
    assert parse_all("kind: List\nitems:\n- {kind: A}\n- {kind: B}\n") == [{"kind": "A"}, {"kind": "B"}]


def test_only_true_and_false_are_booleans_and_dates_stay_text() -> None:
    assert parse_all("a: yes\nb: on\nc: true\nd: 2024-01-02\n") == [{"a": "yes", "b": "on", "c": True, "d": "2024-01-02"}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2\n", "not valid YAML: line"),
        ("a: 1\na: 2\n", "'a' stands twice"),
        ("- a\n", "got a list"),
        ("just text", "got a text"),
        ("a: &x [*x]\n", "not valid YAML|more than"),
        ("\x00", "not valid YAML"),
        ("kind: List\nitems: 3\n", "items: expected a list"),
        ("? [a]\n: b\n", "stands twice or is no text"),
        ("a: 'x\n", "not valid YAML: line"),
    ],
)
def test_what_is_no_object_says_so(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        parse_all(text)


def test_aliases_that_multiply_are_refused() -> None:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        laughs += f"{name}: &{name} [{', '.join(['*' + previous] * 9)}]\n"
    with pytest.raises(DocumentError, match="aliases"):
        parse_all(laughs)


def test_one_object_has_a_limit() -> None:
    with pytest.raises(DocumentError, match="limit is 1,572,864"):
        parse_all("a: " + "x" * 1_600_000)


@pytest.mark.parametrize("value", ["!hunter2 x", "!!int hunter2", "!!float hunter2", "!!binary hunter2", "*hunter2", "!hunter2"])
def test_what_is_wrong_with_a_value_is_told_without_the_value(value: str) -> None:
    with pytest.raises(DocumentError) as told:
        parse_all(f"kind: Secret\nstringData:\n  password: {value}\n")
    assert "hunter2" not in str(told.value)
