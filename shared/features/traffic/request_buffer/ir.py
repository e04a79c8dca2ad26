"""Requests are taken whole before a backend sees them; the limit is a Kubernetes quantity, as it was written."""

from __future__ import annotations

from shared.core.quantities import Quantity
from shared.ir.base import IR


class RequestBuffer(IR, frozen=True):
    limit: Quantity
