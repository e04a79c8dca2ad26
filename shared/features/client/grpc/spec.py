"""What a listener does for gRPC, as a ClientTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec


class GrpcSpec(Spec, frozen=True):
    enable_web: bool | None = None
