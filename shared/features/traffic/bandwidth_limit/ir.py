"""How many KiB a second go through a route, in each direction; with Envoy Gateway's field names."""

from __future__ import annotations

from shared.ir.base import IR


class ResponseTrailers(IR, frozen=True):
    """Trailers that tell clients of the delay; `prefix` stands before their names."""

    prefix: str | None = None


class Bandwidth(IR, frozen=True):
    limit_kibps: int
    response_trailers: ResponseTrailers | None = None


class BandwidthLimit(IR, frozen=True):
    request: Bandwidth | None = None
    response: Bandwidth | None = None
