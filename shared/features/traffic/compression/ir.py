"""Compression of responses, with Envoy Gateway's field names; lengths in bytes."""

from __future__ import annotations

from typing import Literal

from shared.ir.base import IR

Algorithm = Literal["Gzip", "Brotli", "Zstd"]


class Compression(IR, frozen=True):
    """`choose_first`: preferred where a client likes several equally well."""

    type: Algorithm
    choose_first: bool = False
    min_content_length: int | None = None
