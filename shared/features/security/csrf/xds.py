"""Cross-site request forgery in Envoy: one filter on the listener that enforces nothing, a policy on each route that asks for one."""

from __future__ import annotations

import functools

from shared.features.parts.xds_values import string_matcher
from shared.features.route.mirror.ir import Fraction
from shared.features.security.csrf.ir import Csrf
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.csrf"
_POLICY = "envoy.extensions.filters.http.csrf.v3.CsrfPolicy"
_DENOMINATORS = {100: "HUNDRED", 10_000: "TEN_THOUSAND", 1_000_000: "MILLION"}


def _share(numerator: int, denominator: int) -> Fields:
    """FractionalPercent: the smallest denominator that Envoy has and the share fits into, the last one if none does."""
    for per, name in _DENOMINATORS.items():
        if numerator * per % denominator == 0 or per == 1_000_000:
            return {"numerator": numerator * per // denominator, "denominator": name}
    raise AssertionError


def _always(share: Fields) -> Fields:
    return {"default_value": share}


def _enforced(shadow: Fraction | None) -> Fields:
    """Envoy throws its dice for each of the two: what is not enforced is watched."""
    if shadow is None:
        return _share(1, 1)
    return _share(shadow.denominator - shadow.numerator, shadow.denominator)


@functools.lru_cache(maxsize=1024)
def _policy(csrf: Csrf) -> Fields:
    fields: Fields = {
        "filter_enabled": _always(_enforced(csrf.shadow_fraction)),
        "additional_origins": [string_matcher(o) for o in csrf.additional_origins],
    }
    if csrf.shadow_fraction is not None:
        fields["shadow_enabled"] = _always(_share(1, 1))
    return pack(_POLICY, fields)


def _of(route: HttpRoute) -> Csrf | None:
    return route.security.csrf if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    if _of(route) is None:
        return {}
    return {NAME: {"name": NAME, "typed_config": pack(_POLICY, {"filter_enabled": _always(_share(0, 1))})}}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: this route's policy."""
    csrf = _of(route)
    return {NAME: _policy(csrf)} if csrf is not None else {}
