"""Limits of what goes to a backend at once, with Envoy Gateway's field names."""

from __future__ import annotations

from shared.ir.base import IR


class PerEndpoint(IR, frozen=True):
    max_connections: int | None = None


class RetryBudget(IR, frozen=True):
    """Retries as a percentage of requests, and how many are allowed in any case."""

    percent: float
    min_retry_concurrency: int = 0


class CircuitBreaker(IR, frozen=True):
    max_connections: int | None = None
    max_pending_requests: int | None = None
    max_parallel_requests: int | None = None
    max_parallel_retries: int | None = None
    max_requests_per_connection: int | None = None
    per_endpoint: PerEndpoint | None = None
    retry_budget: RetryBudget | None = None
