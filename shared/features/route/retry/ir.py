"""IR of retries. Durations are Go durations ("250ms")."""

from __future__ import annotations

from shared.ir.base import IR

TRIGGERS = frozenset(
    (
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    )
)
"""What Envoy knows as reasons to try again."""


class BackOff(IR, frozen=True):
    base_interval: str | None = None
    max_interval: str | None = None


class PerRetry(IR, frozen=True):
    timeout: str | None = None
    back_off: BackOff | None = None


class RetryOn(IR, frozen=True):
    triggers: tuple[str, ...] = ()
    http_status_codes: tuple[int, ...] = ()


class Retry(IR, frozen=True):
    num_retries: int | None = None
    num_attempts_per_priority: int | None = None
    per_retry: PerRetry | None = None
    retry_on: RetryOn | None = None
