"""Defence against cross-site request forgery as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec


class ShadowFractionSpec(Spec, frozen=True):
    numerator: int
    denominator: int = 100


class CsrfSpec(Spec, frozen=True):
    """Origins have a scheme, which counts for nothing; a '*' stands for anything."""

    additional_origins: tuple[str, ...] = ()
    shadow_fraction: ShadowFractionSpec | None = None
