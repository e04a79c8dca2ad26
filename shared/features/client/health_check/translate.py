"""Health checks of a listener: taken over as written."""

from __future__ import annotations

from shared.features.client.health_check.ir import ClientHealthCheck
from shared.features.client.health_check.spec import ClientHealthCheckSpec


def translate(spec: ClientHealthCheckSpec | None) -> ClientHealthCheck | None:
    return ClientHealthCheck(path=spec.path) if spec is not None else None
