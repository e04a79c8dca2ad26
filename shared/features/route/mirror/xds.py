"""Request mirroring in Envoy: mirror policies of a RouteAction. Their clusters are rendered with all other destinations."""

from __future__ import annotations

from shared.features.parts.xds_values import percent
from shared.features.route.mirror.ir import Fraction, MirrorPolicy
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

_ALL: Fields = {"numerator": 100, "denominator": "HUNDRED"}
_DENOMINATORS = {
    100: (1, "HUNDRED"),
    1_000: (10, "TEN_THOUSAND"),
    10_000: (1, "TEN_THOUSAND"),
    100_000: (10, "MILLION"),
    1_000_000: (1, "MILLION"),
}


def _of_fraction(fraction: Fraction) -> Fields:
    if fraction.denominator in _DENOMINATORS:
        times, name = _DENOMINATORS[fraction.denominator]
        return {"numerator": fraction.numerator * times, "denominator": name}
    return {"numerator": fraction.numerator * 1_000_000 // fraction.denominator, "denominator": "MILLION"}


def _share(mirror: MirrorPolicy) -> Fields | None:
    """The share of requests that is mirrored; None where an explicit zero says none."""
    if mirror.percentage is not None:
        return percent(mirror.percentage) if mirror.percentage > 0 else None
    if mirror.fraction is not None:
        return _of_fraction(mirror.fraction) if mirror.fraction.numerator > 0 else None
    return _ALL


def on_action(route: HttpRoute) -> Fields:
    """Fields that the mirrors add to the RouteAction."""
    policies = [
        # the mirrored requests go to a cluster of their own, so the host needs no mark
        {"cluster": m.destination.name, "runtime_fraction": {"default_value": share}, "disable_shadow_host_suffix_append": True}
        for m in route.mirrors
        if (share := _share(m)) is not None
    ]
    return {"request_mirror_policies": policies} if policies else {}
