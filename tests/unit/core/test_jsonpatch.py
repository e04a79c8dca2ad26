from __future__ import annotations

from typing import Any

import pytest

from shared.core.jsonpatch import PatchError, apply

DOCUMENT: dict[str, Any] = {"a": {"b": 1}, "l": [1, 2, 3], "s/t": {"~": 0}}


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/a/c", "value": 2}, "/a", {"b": 1, "c": 2}),
        ({"op": "add", "path": "/x/y/z", "value": 2}, "/x", {"y": {"z": 2}}),
        ({"op": "add", "path": "/l/1", "value": 9}, "/l", [1, 9, 2, 3]),
        ({"op": "add", "path": "/l/-", "value": 9}, "/l", [1, 2, 3, 9]),
        ({"op": "add", "path": "/l/-1", "value": 9}, "/l", [1, 2, 3, 9]),
        ({"op": "add", "path": "/n/0", "value": 9}, "/n", [9]),
        ({"op": "replace", "path": "/l/-1", "value": 9}, "/l", [1, 2, 9]),
        ({"op": "replace", "path": "/l/0", "value": 9}, "/l", [9, 2, 3]),
        ({"op": "replace", "path": "/s~1t/~0", "value": 9}, "/s~1t", {"~": 9}),
        ({"op": "remove", "path": "/l/0"}, "/l", [2, 3]),
        ({"op": "move", "from": "/a/b", "path": "/l/0"}, "/l", [1, 1, 2, 3]),
        ({"op": "copy", "from": "/a", "path": "/c"}, "/c", {"b": 1}),
        ({"op": "test", "path": "/a/b", "value": 1}, "/a", {"b": 1}),
    ],
)
def test_operations(operation: dict[str, Any], path: str, expected: Any) -> None:
    patched = apply(DOCUMENT, [operation])
    at = patched
    for token in path.split("/")[1:]:
        at = at[token.replace("~1", "/").replace("~0", "~")]
    assert at == expected
    assert DOCUMENT == {"a": {"b": 1}, "l": [1, 2, 3], "s/t": {"~": 0}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/z"},
        {"op": "replace", "path": "/z", "value": 1},
        {"op": "replace", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "remove", "path": "/l/-4"},
        {"op": "add", "path": "nope", "value": 1},
        {"op": "test", "path": "/a/b", "value": 2},
        {"op": "move", "path": "/a"},
        {"op": "dance", "path": "/a"},
        {"op": "add"},
    ],
)
def test_what_cannot_be_done_is_named(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError, match="unable to apply patch"):
        apply(DOCUMENT, [operation])
