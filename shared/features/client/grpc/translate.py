"""What a listener does for gRPC: the policy has the word on gRPC-Web, statistics stay as they are."""

from __future__ import annotations

from msgspec.structs import replace

from shared.features.client.grpc.ir import GrpcSettings
from shared.features.client.grpc.spec import GrpcSpec


def translate(spec: GrpcSpec | None, before: GrpcSettings | None) -> GrpcSettings | None:
    if spec is None:
        return before
    return replace(before or GrpcSettings(), enable_grpc_web=spec.enable_web)
