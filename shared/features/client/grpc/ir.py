"""What a listener does for gRPC, with Envoy Gateway's field names; None leaves a setting alone."""

from __future__ import annotations

from shared.ir.base import IR


class GrpcSettings(IR, frozen=True):
    enable_grpc_web: bool | None = None
    enable_grpc_stats: bool | None = None
