"""Circuit breakers: numbers that Envoy can hold."""

from __future__ import annotations

from shared.features.parts.faults import UINT32, Faults
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker, PerEndpoint, RetryBudget
from shared.features.traffic.circuit_breaker.spec import CircuitBreakerSpec, PercentSpec, RetryBudgetSpec

LEAST_RETRIES = 3


def translate(spec: CircuitBreakerSpec | None, faults: Faults) -> CircuitBreaker | None:
    if spec is None:
        return None
    here = faults.inside("CircuitBreaker")

    def count(field: str, number: int | None) -> int | None:
        if number is None or 0 <= number <= UINT32:
            return number
        here.add(f"invalid {field} value {number}")
        return None

    of_endpoint = spec.per_endpoint
    return CircuitBreaker(
        max_connections=count("MaxConnections", spec.max_connections),
        max_parallel_requests=count("MaxParallelRequests", spec.max_parallel_requests),
        max_pending_requests=count("MaxPendingRequests", spec.max_pending_requests),
        max_parallel_retries=count("MaxParallelRetries", spec.max_parallel_retries),
        max_requests_per_connection=count("MaxRequestsPerConnection", spec.max_requests_per_connection),
        per_endpoint=(
            PerEndpoint(max_connections=count("PerEndpoint.MaxConnections", of_endpoint.max_connections))
            if of_endpoint is not None
            else None
        ),
        retry_budget=_budget(spec.retry_budget, here) if spec.retry_budget is not None else None,
    )


def _budget(spec: RetryBudgetSpec, faults: Faults) -> RetryBudget | None:
    least = LEAST_RETRIES if spec.min_retry_concurrency is None else spec.min_retry_concurrency
    if not _sound(spec.percent) or not 0 <= least <= UINT32:
        faults.add("invalid RetryBudget")
        return None
    return RetryBudget(percent=spec.percent.numerator / spec.percent.denominator * 100, min_retry_concurrency=least)


def _sound(percent: PercentSpec) -> bool:
    return 0 <= percent.numerator <= percent.denominator and percent.denominator > 0
