"""What Envoy's own rules refuse is refused here, and nothing else."""

from __future__ import annotations

import pytest

from services.xds_server.render import checks

_HEADER = "envoy.config.core.v3.HeaderValue"


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("x-a", "plain", True),
        ("x-a", "é", True),
        ("x-a", "", True),
        ("x-a", "two\nlines", False),
        ("x-a", "ends with a break\n", False),
        ("x-a\n", "1", False),
        ("", "1", False),
    ],
)
def test_headers_hold_no_line_breaks(key: str, value: str, fits: bool) -> None:
    assert (checks.fault(_HEADER, {"key": key, "value": value}) is None) is fits
