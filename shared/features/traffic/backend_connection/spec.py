"""Connections to backends as a BackendTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec
from shared.core.quantities import Quantity


class PreconnectSpec(Spec, frozen=True):
    """Percentages: 200 opens twice as many connections as are needed."""

    per_endpoint_percent: int | None = None
    predictive_percent: int | None = None


class BackendConnectionSpec(Spec, frozen=True):
    buffer_limit: Quantity | None = None
    preconnect: PreconnectSpec | None = None
