"""Bandwidth limits as a BackendTrafficPolicy writes them: bytes per unit of time."""

from __future__ import annotations

from typing import Literal

from shared.api.base import Spec
from shared.core.quantities import Quantity


class BandwidthValueSpec(Spec, frozen=True):
    value: Quantity
    unit: Literal["Second", "Minute", "Hour"]


class ResponseTrailersSpec(Spec, frozen=True):
    prefix: str | None = None


class RequestBandwidthSpec(Spec, frozen=True):
    limit: BandwidthValueSpec


class ResponseBandwidthSpec(Spec, frozen=True):
    limit: BandwidthValueSpec
    response_trailers: ResponseTrailersSpec | None = None


class BandwidthLimitSpec(Spec, frozen=True):
    request: RequestBandwidthSpec | None = None
    response: ResponseBandwidthSpec | None = None
