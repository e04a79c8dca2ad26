"""Connections to backends: sizes in bytes."""

from __future__ import annotations

from shared.features.parts.faults import Faults
from shared.features.traffic.backend_connection.ir import BackendConnection, Preconnect
from shared.features.traffic.backend_connection.spec import BackendConnectionSpec


def translate(spec: BackendConnectionSpec | None, faults: Faults) -> BackendConnection | None:
    if spec is None:
        return None
    here = faults.inside("BackendConnection")
    preconnect = None
    if spec.preconnect is not None:
        of = spec.preconnect
        preconnect = Preconnect(per_endpoint_percent=of.per_endpoint_percent, predictive_percent=of.predictive_percent)
    return BackendConnection(buffer_limit=here.size("BufferLimit", spec.buffer_limit), preconnect=preconnect)
