"""Retries: how many, on which codes, how long each try may take and how long to wait in between."""

from __future__ import annotations

from shared.core import durations
from shared.features.route.retry.ir import BackOff, PerRetry, Retry, RetryOn
from shared.features.route.retry.spec import RetrySpec


def _normal(text: str | None) -> str | None:
    try:
        return None if text is None else durations.normal(text)
    except ValueError:
        return None


def retry(spec: RetrySpec | None, backend_request: str | None) -> Retry | None:
    """`backend_request` is the rule's backend timeout: the bound of one try."""
    if spec is None:
        return None
    backoff, timeout = _normal(spec.backoff), _normal(backend_request)
    per_retry = None
    if backoff is not None or timeout is not None:
        per_retry = PerRetry(timeout=timeout, back_off=BackOff(base_interval=backoff) if backoff is not None else None)
    retry_on = RetryOn(http_status_codes=spec.codes) if spec.codes else None
    return Retry(num_retries=spec.attempts, per_retry=per_retry, retry_on=retry_on)
