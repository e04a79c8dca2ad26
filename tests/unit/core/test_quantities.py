"""Quantities as Kubernetes reads them."""

from __future__ import annotations

import pytest

from shared.core.quantities import canonical, whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("50M", 50_000_000),
        ("32Ki", 32768),
        (1024, 1024),
        ("1e3", 1000),
        ("1.5Ki", 1536),
        ("2000m", 2),
        ("0", 0),
        ("-1", -1),
        ("1E", 10**18),
    ],
)
def test_whole_numbers_in_every_spelling(text: str | int, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["500m", "", "ten", "1KB", "1.2.3", "100E", "0x10"])
def test_what_is_no_whole_number(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize(
    ("written", "shown"), [("4Mi", "4Mi"), ("1024Ki", "1Mi"), ("512Ki", "512Ki"), (1000, "1k"), (1024, "1024"), ("1.5Ki", "1536"), (0, "0")]
)
def test_a_quantity_has_one_way_to_be_written(written: str | int, shown: str) -> None:
    assert canonical(written) == shown
