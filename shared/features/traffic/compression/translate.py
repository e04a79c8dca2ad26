"""Compression: the newer field counts, and of its entries those whose algorithm's own field is set; then the older one."""

from __future__ import annotations

from collections.abc import Iterable

from shared.features.parts.faults import Faults
from shared.features.traffic.compression.ir import Compression
from shared.features.traffic.compression.spec import CompressionSpec


def translate(compressor: tuple[CompressionSpec, ...], compression: tuple[CompressionSpec, ...], faults: Faults) -> tuple[Compression, ...]:
    """`compression` is the deprecated field."""
    here = faults.inside("Compression")
    specs: Iterable[tuple[int, CompressionSpec]] = enumerate(compressor or compression)
    return tuple(
        Compression(type=each.type, choose_first=n == 0, min_content_length=here.size("MinContentLength", each.min_content_length))
        for n, each in specs
        if not compressor or getattr(each, each.type.lower()) is not None
    )
