"""Connections to backends: how much of a connection is buffered (bytes), and how many are opened in advance (percentages)."""

from __future__ import annotations

from shared.ir.base import IR


class Preconnect(IR, frozen=True):
    per_endpoint_percent: int | None = None
    predictive_percent: int | None = None


class BackendConnection(IR, frozen=True):
    buffer_limit: int | None = None
    preconnect: Preconnect | None = None
