"""CORS as Envoy Gateway's SecurityPolicy writes it. `max_age` is a duration."""

from __future__ import annotations

from shared.api.base import Spec


class PolicyCorsSpec(Spec, frozen=True):
    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: str | None = None
    allow_credentials: bool = False
