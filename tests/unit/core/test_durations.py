"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest

from shared.core import durations


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0", "0s"),
        ("0s", "0s"),
        ("250ms", "250ms"),
        ("1.5s", "1.5s"),
        ("1500ms", "1.5s"),
        ("90s", "1m30s"),
        ("600s", "10m0s"),
        ("1h", "1h0m0s"),
        ("1h0m0.5s", "1h0m0.5s"),
        ("1us", "1µs"),
        ("7ns", "7ns"),
        ("-2s", "-2s"),
    ],
)
def test_spelling(written: str, shown: str) -> None:
    assert durations.normal(written) == shown
    assert durations.normal(shown) == shown


@pytest.mark.parametrize("written", ["", "1", "s", "1x", "1s2", "one"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        durations.parse(written)
