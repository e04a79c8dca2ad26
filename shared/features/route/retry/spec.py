"""A rule's retries as the Gateway API (GEP-1731) writes them."""

from __future__ import annotations

from shared.api.base import Spec


class RetrySpec(Spec, frozen=True):
    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: str | None = None
