"""A rule's session persistence as the Gateway API (GEP-1619) writes it."""

from __future__ import annotations

from shared.api.base import Spec


class CookieConfigSpec(Spec, frozen=True):
    lifetime_type: str | None = None


class SessionPersistenceSpec(Spec, frozen=True):
    session_name: str | None = None
    absolute_timeout: str | None = None
    type: str = "Cookie"
    cookie_config: CookieConfigSpec | None = None
