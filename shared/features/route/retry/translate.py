"""Retries: how many, on which codes, how long each try may take and how long to wait in between."""

from __future__ import annotations

from shared.core import durations
from shared.features.parts.faults import Faults
from shared.features.route.retry.ir import TRIGGERS, BackOff, PerRetry, Retry, RetryOn
from shared.features.route.retry.spec import PolicyPerRetrySpec, PolicyRetrySpec, RetrySpec


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


def of_policy(spec: PolicyRetrySpec | None, faults: Faults) -> Retry | None:
    """The retries of a policy."""
    if spec is None:
        return None
    here = faults.inside("Retry")
    if spec.num_retries is not None and spec.num_retries < 0:
        here.add(f"invalid NumRetries value {spec.num_retries}")
        return None
    on = spec.retry_on
    if on is not None and (unknown := sorted(set(on.triggers or ()) - TRIGGERS)):
        here.add(f"unknown triggers {', '.join(unknown)}")
    retry_on = None
    if on is not None and (on.triggers is not None or on.http_status_codes is not None):
        codes = tuple(sorted(set(on.http_status_codes or ())))
        retry_on = RetryOn(triggers=tuple(sorted(set(on.triggers or ()))), http_status_codes=codes)
    per_retry = _per_retry(spec.per_retry, here) if spec.per_retry is not None else None
    return Retry(
        num_retries=spec.num_retries,
        num_attempts_per_priority=spec.num_attempts_per_priority,
        retry_on=retry_on,
        per_retry=per_retry if per_retry != PerRetry() else None,
    )


def _per_retry(spec: PolicyPerRetrySpec, faults: Faults) -> PerRetry:
    timeout = faults.duration("PerRetry.Timeout", spec.timeout)
    of = spec.back_off
    if of is None or (of.base_interval is None and of.max_interval is None):
        return PerRetry(timeout=timeout)
    base, longest = faults.duration("BaseInterval", of.base_interval), faults.duration("MaxInterval", of.max_interval)
    for field, text in (("baseInterval", base), ("maxInterval", longest)):
        if text is not None and durations.parse(text) == 0:
            faults.add(f"{field} cannot be set to 0s")
    if base is not None and longest is not None and durations.parse(base) > durations.parse(longest):
        faults.add("maxInterval cannot be less than baseInterval")
    return PerRetry(timeout=timeout, back_off=BackOff(base_interval=base, max_interval=longest))
