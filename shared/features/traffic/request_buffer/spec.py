"""Buffered requests as a BackendTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec
from shared.core.quantities import Quantity


class RequestBufferSpec(Spec, frozen=True):
    limit: Quantity = 0
