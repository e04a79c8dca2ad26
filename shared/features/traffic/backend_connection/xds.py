"""Connections to backends in Envoy: buffer limit and preconnect policy of a cluster."""

from __future__ import annotations

from shared.features.parts.xds_values import wrapped
from shared.features.traffic.backend_connection.ir import BackendConnection
from shared.xds.message import Fields

BUFFER_LIMIT = 32768


def on_cluster(connection: BackendConnection | None) -> Fields:
    """Fields of the cluster."""
    of = connection or BackendConnection()
    out: Fields = {"per_connection_buffer_limit_bytes": wrapped(BUFFER_LIMIT if of.buffer_limit is None else of.buffer_limit)}
    if of.preconnect is not None:
        ratios = {
            "per_upstream_preconnect_ratio": of.preconnect.per_endpoint_percent,
            "predictive_preconnect_ratio": of.preconnect.predictive_percent,
        }
        policy = {name: wrapped(0.01 * percent) for name, percent in ratios.items() if percent is not None}
        out |= {"preconnect_policy": policy} if policy else {}
    return out
