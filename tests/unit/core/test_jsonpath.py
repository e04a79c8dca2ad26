"""Which places of a document a JSONPath means."""

from __future__ import annotations

import pytest

from shared.core.jsonpath import pointers

ROUTES = {"hosts": [{"routes": [{"name": "route/1", "a": 1}, {"name": "other"}]}], "odd name": {"a/b": [{"~": 0}]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.hosts[0].routes[1]", ["/hosts/0/routes/1"]),
        ("hosts[0]", ["/hosts/0"]),
        ("..routes[?(@.name=='other')]", ["/hosts/0/routes/1"]),
        ('..routes[?(@.name=~"route/[0-9]")].a', ["/hosts/0/routes/0/a"]),
        ("..routes[?(@.name=~/oute/)]", ["/hosts/0/routes/0"]),
        ("..routes[?match(@.name, 'oute')]", []),
        ("..routes[?search(@.name, 'oute')]", ["/hosts/0/routes/0"]),
        ("..routes[?search(@.name, '(')]", []),
        ("..routes[*].name", ["/hosts/0/routes/0/name", "/hosts/0/routes/1/name"]),
        ("$['odd name']['a/b'][0]['~']", ["/odd name/a~1b/0/~0"]),
        ("..nowhere", []),
    ],
)
def test_places(path: str, found: list[str]) -> None:
    assert pointers(path, ROUTES) == found


def test_what_is_no_path_is_said() -> None:
    with pytest.raises(ValueError, match="no JSONPath"):
        pointers("$.hosts[", ROUTES)


def test_no_pattern_takes_longer_than_its_text() -> None:
    assert pointers("..[?search(@, '(a+)+$')]", {"x": ["a" * 5000 + "!"]}) == []
