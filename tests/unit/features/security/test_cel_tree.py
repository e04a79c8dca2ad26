"""CEL expressions as trees: precedence, numbers and positions of nodes, macros, constants."""

from __future__ import annotations

from typing import Any

import pytest

from shared.features.parts.cel_tree import Misread, parsed
from shared.xds.message import build, to_json


def tree(text: str) -> dict[str, Any]:
    return to_json(build("cel.expr.ParsedExpr", parsed(text)))


def shown(text: str) -> str:
    """The tree as calls within calls."""
    return _shown(tree(text)["expr"])


def _shown(e: dict[str, Any]) -> str:
    if "callExpr" in e:
        call = e["callExpr"]
        target = _shown(call["target"]) + "." if "target" in call else ""
        return f"{target}{call['function']}({', '.join(map(_shown, call.get('args', ())))})"
    if "selectExpr" in e:
        select = e["selectExpr"]
        return f"{'has ' if select.get('testOnly') else ''}{_shown(select['operand'])}.{select['field']}"
    if "identExpr" in e:
        return str(e["identExpr"]["name"])
    if "constExpr" in e:
        return repr(next(iter(e["constExpr"].values())))
    return "[" + ", ".join(map(_shown, e["listExpr"].get("elements", ()))) + "]"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c - d", "_-_(_+_(a, _*_(b, c)), d)"),
        ("a || b && !c", "_||_(a, _&&_(b, !_(c)))"),
        ("a && b && c", "_&&_(_&&_(a, b), c)"),
        ("a && b && c && d", "_&&_(_&&_(a, b), _&&_(c, d))"),
        ("a < b == c", "_==_(_<_(a, b), c)"),
        ("x ? 1 : y ? -2 : 3u", "_?_:_(x, '1', _?_:_(y, '-2', '3'))"),
        ("!!a", "a"),
        ("-(-a)", "-_(-_(a))"),
        ("a.b['c'].d(e, 1.5)", "_[_](a.b, 'c').d(e, 1.5)"),
        ("has(a.b.c)", "has a.b.c"),
        ("x in [1, 2]", "@in(x, ['1', '2'])"),
        (r"r'\d' + 'a\tb\x41'", r"_+_('\\d', 'a\tbA')"),
        (r"b'\xff' == b'é'", "_==_('/w==', 'w6k=')"),
    ],
)
def test_an_expression_means_what_its_grammar_says(text: str, meaning: str) -> None:
    assert shown(text) == meaning


def test_nodes_are_numbered_where_their_signs_stand() -> None:
    found = tree("request.path.startsWith('/admin')")
    assert found["sourceInfo"]["positions"] == {"1": 0, "2": 7, "3": 23, "4": 24}
    assert found["sourceInfo"]["lineOffsets"] == [34]
    assert found["expr"]["id"] == "3"


def test_lines_are_counted() -> None:
    assert tree("a ||\nb")["sourceInfo"]["lineOffsets"] == [5, 7]


@pytest.mark.parametrize("text", ["a +", "l.all(x, x > 0)", "has(a.b) && l.map(x, x)"])
def test_what_is_none_or_goes_through_a_list_is_refused(text: str) -> None:
    with pytest.raises(Misread):
        parsed(text)
