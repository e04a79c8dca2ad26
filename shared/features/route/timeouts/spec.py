"""A rule's timeouts as the Gateway API writes them."""

from __future__ import annotations

from shared.api.base import Spec


class TimeoutsSpec(Spec, frozen=True):
    request: str | None = None
    backend_request: str | None = None
