"""Bandwidth limits: Envoy counts in KiB per second, and at least one of them."""

from __future__ import annotations

from shared.core.quantities import whole
from shared.features.parts.faults import Faults
from shared.features.traffic.bandwidth_limit.ir import Bandwidth, BandwidthLimit, ResponseTrailers
from shared.features.traffic.bandwidth_limit.spec import BandwidthLimitSpec, BandwidthValueSpec

_SECONDS = {"Second": 1, "Minute": 60, "Hour": 3600}
_KIB = 1024


def translate(spec: BandwidthLimitSpec | None, faults: Faults) -> BandwidthLimit | None:
    if spec is None:
        return None
    here, request, response = faults.inside("BandwidthLimit"), None, None
    if spec.request is not None and (rate := _kibps(spec.request.limit, here.inside("request"))) is not None:
        request = Bandwidth(limit_kibps=rate)
    if spec.response is not None and (rate := _kibps(spec.response.limit, here.inside("response"))) is not None:
        told = spec.response.response_trailers
        trailers = ResponseTrailers(prefix=told.prefix) if told is not None else None
        response = Bandwidth(limit_kibps=rate, response_trailers=trailers)
    return BandwidthLimit(request=request, response=response)


def _kibps(limit: BandwidthValueSpec, faults: Faults) -> int | None:
    size = whole(limit.value)
    if size is None or size < 0:
        faults.add(f"limit value {limit.value} must be a positive integer")
        return None
    rate = size // (_SECONDS[limit.unit] * _KIB)
    if rate == 0:
        faults.add(f"bandwidth limit of {size} bytes per {limit.unit} is below the minimum of 1 KiB/s")
        return None
    return rate
