"""Limits of what goes to a backend at once, as a BackendTrafficPolicy writes them."""

from __future__ import annotations

from shared.api.base import Spec


class PerEndpointSpec(Spec, frozen=True):
    max_connections: int | None = None


class PercentSpec(Spec, frozen=True):
    numerator: int
    denominator: int = 100


class RetryBudgetSpec(Spec, frozen=True):
    percent: PercentSpec
    min_retry_concurrency: int | None = None


class CircuitBreakerSpec(Spec, frozen=True):
    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_parallel_requests: int | None = None
    max_parallel_retries: int | None = None
    max_requests_per_connection: int | None = None
    per_endpoint: PerEndpointSpec | None = None
    retry_budget: RetryBudgetSpec | None = None
