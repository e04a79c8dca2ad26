"""Which streams hold what is asked for."""

from __future__ import annotations

import pytest

from shared.bus.tap import standing


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("ir.xds.>", [("IR", "ir.xds.>")]),
        ("ir", []),
        ("foo.>", []),
        ("*.infra.>", [(s, f"{s.lower()}.infra.>") for s in ("RESOURCES", "FACTS", "WANTS", "HOOKS", "IR", "STATUS")]),
        (">", [(s, f"{s.lower()}.>") for s in ("RESOURCES", "FACTS", "WANTS", "HOOKS", "IR", "STATUS")]),
    ],
)
def test_wildcards_reach_every_stream_that_they_may_mean(subject: str, found: list[tuple[str, str]]) -> None:
    assert sorted(standing(subject)) == sorted(found)
