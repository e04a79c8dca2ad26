"""RequestMirror as the Gateway API writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.gateway import BackendObjectReference


class FractionSpec(Spec, frozen=True):
    numerator: int
    denominator: int = 100


class RequestMirrorSpec(Spec, frozen=True):
    backend_ref: BackendObjectReference
    percent: int | None = None
    fraction: FractionSpec | None = None
