"""Cross-site request forgery: Envoy compares the host and port of an Origin, so schemes go."""

from __future__ import annotations

from shared.features.parts.origins import origin_match
from shared.features.parts.policy_lookup import Fault
from shared.features.route.mirror.ir import Fraction
from shared.features.security.csrf.ir import Csrf
from shared.features.security.csrf.spec import CsrfSpec


def translate(spec: CsrfSpec) -> Csrf:
    """Raises Fault for a fraction of more than all, or of nothing."""
    shadow = spec.shadow_fraction
    if shadow is not None and not (shadow.denominator > 0 and 0 <= shadow.numerator <= shadow.denominator):
        raise Fault(f"shadowFraction {shadow.numerator}/{shadow.denominator} is no fraction")
    return Csrf(
        additional_origins=tuple(origin_match(_host(o)) for o in spec.additional_origins),
        shadow_fraction=Fraction(numerator=shadow.numerator, denominator=shadow.denominator) if shadow is not None else None,
    )


def _host(origin: str) -> str:
    scheme, _, host = origin.partition("://")
    return host or scheme
