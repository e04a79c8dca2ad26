"""A rule's retries as the Gateway API (GEP-1731) writes them."""

from __future__ import annotations

from shared.api.base import Spec


class RetrySpec(Spec, frozen=True):
    codes: tuple[int, ...] = ()
    attempts: int | None = None
    backoff: str | None = None


class PolicyBackOffSpec(Spec, frozen=True):
    base_interval: str | None = None
    max_interval: str | None = None


class PolicyPerRetrySpec(Spec, frozen=True):
    timeout: str | None = None
    back_off: PolicyBackOffSpec | None = None


class PolicyRetryOnSpec(Spec, frozen=True):
    triggers: tuple[str, ...] | None = None
    http_status_codes: tuple[int, ...] | None = None


class PolicyRetrySpec(Spec, frozen=True):
    """Retries as a BackendTrafficPolicy writes them."""

    num_retries: int | None = None
    num_attempts_per_priority: int | None = None
    retry_on: PolicyRetryOnSpec | None = None
    per_retry: PolicyPerRetrySpec | None = None
