"""CORS of a policy: the same IR that a route's own filter gives."""

from __future__ import annotations

from shared.core import durations
from shared.features.parts.origins import origin_match
from shared.features.route.cors.ir import Cors
from shared.features.security.cors.spec import PolicyCorsSpec


def translate(spec: PolicyCorsSpec) -> Cors:
    return Cors(
        allow_origins=tuple(origin_match(o) for o in spec.allow_origins),
        allow_methods=spec.allow_methods,
        allow_headers=spec.allow_headers,
        expose_headers=spec.expose_headers,
        max_age=_age(spec.max_age),
        allow_credentials=spec.allow_credentials,
    )


def _age(text: str | None) -> str | None:
    """What is no duration counts as not written."""
    try:
        return durations.normal(text) if text is not None else None
    except ValueError:
        return None
