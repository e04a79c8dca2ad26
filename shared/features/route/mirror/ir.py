"""IR of request mirroring: a destination and the share of requests it gets."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.destination import Destination


class Fraction(IR, frozen=True):
    numerator: int
    denominator: int = 100


class MirrorPolicy(IR, frozen=True):
    """`percentage` (0 to 100) or `fraction`; neither means all requests."""

    destination: Destination
    percentage: float | None = None
    fraction: Fraction | None = None
