"""What a listener does for gRPC clients, in Envoy: filters that it has whatever its routes."""

from __future__ import annotations

from shared.features.client.grpc.ir import GrpcSettings
from shared.features.parts.xds_values import wrapped
from shared.xds.message import Fields, pack

WEB = "envoy.filters.http.grpc_web"
STATS = "envoy.filters.http.grpc_stats"


def http_filters(grpc: GrpcSettings | None) -> dict[str, Fields]:
    """Name -> HttpFilter."""
    out: dict[str, Fields] = {}
    if grpc is not None and grpc.enable_grpc_web:
        out[WEB] = {"name": WEB, "typed_config": pack("envoy.extensions.filters.http.grpc_web.v3.GrpcWeb")}
    if grpc is not None and grpc.enable_grpc_stats:
        config: Fields = {"emit_filter_state": True, "stats_for_all_methods": wrapped(True)}
        out[STATS] = {"name": STATS, "typed_config": pack("envoy.extensions.filters.http.grpc_stats.v3.FilterConfig", config)}
    return out
