"""Figures as a table."""

from __future__ import annotations

from collections.abc import Iterable


def markdown(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Numbers, to the right."""
    lines = ("|" + " ---: |" * len(columns), *(f"| {' | '.join(cells)} |" for cells in rows))
    return "\n".join((f"| {' | '.join(columns)} |", *lines))
