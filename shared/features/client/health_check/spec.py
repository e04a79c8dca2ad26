"""Health checks of a listener as a ClientTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec


class ClientHealthCheckSpec(Spec, frozen=True):
    path: str
