"""CEL's syntax, with expressions from Envoy's and CEL's own documentation."""

from __future__ import annotations

import pytest

from shared.features.parts.cel import cel_fault


@pytest.mark.parametrize(
    "good",
    [
        "response.code >= 400",
        "'x-envoy-logged' in request.headers",
        'request.headers["user-agent"].matches("curl/.*") && !(response.code == 200 || connection.mtls)',
        "has(request.auth) ? size(request.auth.claims) > 0 : false",
        "[1, 2u, 0x1F, 1.5e3,].exists(x, x == -1)",
        '{"a": 1, \'b\': [2]}["a"] != 3 % 2',
        "a.B{field: 1, other: r'\\d'}",
        'b"x" == b"""y"""  // comment',
        ".root.f(x).y[0].z()",
    ],
)
def test_expressions(good: str) -> None:
    assert cel_fault(good) is None


@pytest.mark.parametrize(
    "bad", ["", ")++++", "a ==", "a b", "f(", "x ? y", "'open", "a..b", "[1 2]", "a.1", "if", "@", "in", "{1}", "(" * 500, "a && && b"]
)
def test_what_is_none(bad: str) -> None:
    assert cel_fault(bad) is not None
