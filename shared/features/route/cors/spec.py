"""CORS as the Gateway API writes it. `max_age` is in seconds; the API's default is 5."""

from __future__ import annotations

from shared.api.base import Spec


class CorsSpec(Spec, frozen=True):
    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: int = 0
    allow_credentials: bool = False
