"""TCP keepalive in Envoy: options of a cluster's connections."""

from __future__ import annotations

from shared.features.parts.xds_values import wrapped
from shared.features.traffic.tcp_keepalive.ir import TcpKeepalive
from shared.xds.message import Fields


def on_cluster(keepalive: TcpKeepalive | None) -> Fields:
    """The cluster's upstream_connection_options."""
    if keepalive is None:
        return {}
    values = {
        "keepalive_probes": keepalive.probes,
        "keepalive_time": keepalive.idle_time,
        "keepalive_interval": keepalive.interval,
    }
    return {"upstream_connection_options": {"tcp_keepalive": {name: wrapped(n) for name, n in values.items() if n is not None}}}
