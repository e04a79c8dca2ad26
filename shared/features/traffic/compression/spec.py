"""Compression of responses as a BackendTrafficPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.core.quantities import Quantity
from shared.features.traffic.compression.ir import Algorithm


class CompressionSpec(Spec, frozen=True):
    """Of `gzip`, `brotli` and `zstd` the one that `type` names; none of them says anything yet."""

    type: Algorithm
    gzip: dict[str, str] | None = None
    brotli: dict[str, str] | None = None
    zstd: dict[str, str] | None = None
    min_content_length: Quantity | None = None
