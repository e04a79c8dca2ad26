"""IR of the defence against cross-site request forgery."""

from __future__ import annotations

from shared.features.route.mirror.ir import Fraction
from shared.ir.base import IR
from shared.ir.match import StringMatch


class Csrf(IR, frozen=True):
    """`additional_origins` match host and port of an Origin; `shadow_fraction` of the requests is only watched."""

    additional_origins: tuple[StringMatch, ...] = ()
    shadow_fraction: Fraction | None = None
