"""Kubernetes quantities ("50M", "32Ki", 1024): sizes, as the CRDs write them."""

from __future__ import annotations

import re
from fractions import Fraction

Quantity = int | float | str
"""As it stands in an object: YAML writes plain numbers without quotes."""

_SUFFIXES = {
    **{suffix: Fraction(1024) ** n for n, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    **{suffix: Fraction(1000) ** n for n, suffix in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)},
}
_BINARY, _DECIMAL = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), ("", "k", "M", "G", "T", "P", "E")
_TEXT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([A-Za-z]*))")


def parse(quantity: Quantity) -> Fraction:
    """The exact number; ValueError for what is no quantity."""
    found = _TEXT.fullmatch(str(quantity))
    if found is None or (found[3] or "") not in _SUFFIXES:
        raise ValueError(f"{quantity!r} is no quantity")
    return Fraction(found[1]) * (Fraction(10) ** int(found[2]) if found[2] else _SUFFIXES[found[3] or ""])


def canonical(quantity: Quantity) -> str:
    """A whole quantity as Kubernetes writes it: with the largest suffix of its own kind that leaves it whole."""
    number, text = whole(quantity), str(quantity)
    if number is None or number == 0 or "e" in text or text[-1:] == "E":
        return text
    base, suffixes = (1024, _BINARY) if text.endswith("i") and abs(number) >= 1024 else (1000, _DECIMAL)
    power = 0
    while number % base == 0 and power < len(suffixes) - 1:
        number, power = number // base, power + 1
    return f"{number}{suffixes[power]}"


def whole(quantity: Quantity) -> int | None:
    """The quantity as an integer; None where it is a fraction, larger than 64 bits, or no quantity."""
    try:
        number = parse(quantity)
    except ValueError:
        return None
    return number.numerator if number.denominator == 1 and abs(number) < 1 << 63 else None
