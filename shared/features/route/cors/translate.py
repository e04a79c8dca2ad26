"""CORS: origins with a wildcard become regular expressions, everything else is taken as it is."""

from __future__ import annotations

import re

from msgspec.structs import replace

from shared.core import durations
from shared.features.parts.filters import Filters
from shared.features.route.cors.ir import Cors
from shared.features.route.cors.spec import CorsSpec
from shared.ir.match import StringMatch

_META = re.compile(r"([\\.+*?()|\[\]{}^$])")


def _origin(origin: str) -> StringMatch:
    if "*" not in origin:
        return StringMatch(exact=origin)
    return StringMatch(safe_regex=_META.sub(r"\\\1", origin).replace(r"\*", ".*"))


def apply(spec: CorsSpec, before: Filters) -> Filters:
    cors = Cors(
        allow_origins=tuple(_origin(o) for o in spec.allow_origins),
        allow_methods=spec.allow_methods,
        allow_headers=spec.allow_headers,
        expose_headers=spec.expose_headers,
        max_age=durations.show(spec.max_age * 1_000_000_000),
        allow_credentials=spec.allow_credentials,
    )
    return replace(before, cors=cors)
