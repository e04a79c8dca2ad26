"""What a SecurityPolicy says of requests."""

from __future__ import annotations

from shared.features.route.cors.ir import Cors
from shared.ir.base import IR


class SecurityFeatures(IR, frozen=True):
    cors: Cors | None = None
