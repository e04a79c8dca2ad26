"""Circuit breakers in Envoy: thresholds of a cluster. Retries always have a limit of their own, far from Envoy's three."""

from __future__ import annotations

from shared.features.parts.xds_values import given, wrapped
from shared.features.traffic.circuit_breaker.ir import CircuitBreaker
from shared.xds.message import Fields

MAX_RETRIES = 1024
_ENVOYS_RETRY_CONCURRENCY = 3


def on_cluster(breaker: CircuitBreaker | None) -> Fields:
    """The cluster's circuit_breakers."""
    breaker = breaker or CircuitBreaker()
    retries = MAX_RETRIES if breaker.max_parallel_retries is None else breaker.max_parallel_retries
    limits = {
        "max_connections": breaker.max_connections,
        "max_pending_requests": breaker.max_pending_requests,
        "max_requests": breaker.max_parallel_requests,
        "max_retries": retries,
    }
    thresholds: Fields = {name: wrapped(n) for name, n in limits.items() if n is not None}
    budget = breaker.retry_budget
    if budget is not None:
        least = budget.min_retry_concurrency
        concurrency = wrapped(least) if least != _ENVOYS_RETRY_CONCURRENCY else None
        thresholds["retry_budget"] = given({"budget_percent": {"value": budget.percent}, "min_retry_concurrency": concurrency})
    out: Fields = {"thresholds": [thresholds]}
    if breaker.per_endpoint is not None and breaker.per_endpoint.max_connections is not None:
        out["per_host_thresholds"] = [{"max_connections": wrapped(breaker.per_endpoint.max_connections)}]
    return out


def on_connections(breaker: CircuitBreaker | None) -> Fields:
    """Fields of the cluster's common_http_protocol_options."""
    most = breaker.max_requests_per_connection if breaker is not None else None
    return {"max_requests_per_connection": wrapped(most)} if most is not None else {}
