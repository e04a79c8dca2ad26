"""Retries in Envoy: the RetryPolicy of a RouteAction."""

from __future__ import annotations

from shared.features.parts.xds_values import Unrenderable, duration, wrapped
from shared.features.route.retry.ir import TRIGGERS
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_STATUS_CODES = (503,)
DEFAULT_RETRIES = 2
HOST_SELECTION_ATTEMPTS = 5


def on_action(route: HttpRoute) -> Fields:
    """Fields that retries add to the RouteAction; Unrenderable for a trigger that Envoy does not know."""
    retry = route.retry or (route.traffic.retry if route.traffic is not None else None)
    if retry is None:
        return {}
    policy: Fields = {
        "retry_on": DEFAULT_RETRY_ON,
        "retriable_status_codes": list(DEFAULT_STATUS_CODES),
        "num_retries": wrapped(DEFAULT_RETRIES if retry.num_retries is None else retry.num_retries),
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": pack("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "host_selection_retry_max_attempts": HOST_SELECTION_ATTEMPTS,
    }
    if retry.num_attempts_per_priority:
        policy["retry_priority"] = {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": pack(
                "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                {"update_frequency": retry.num_attempts_per_priority},
            ),
        }
    if retry.retry_on is not None:
        if retry.retry_on.triggers:
            unknown = sorted(set(retry.retry_on.triggers) - TRIGGERS)
            if unknown:
                raise Unrenderable(f"retry: unsupported trigger {', '.join(unknown)}")
            policy["retry_on"] = ",".join(retry.retry_on.triggers)
        policy["retriable_status_codes"] = list(retry.retry_on.http_status_codes)
    per_try = retry.per_retry
    if per_try is not None and per_try.timeout is not None:
        policy["per_try_timeout"] = duration(per_try.timeout)
    if per_try is not None and per_try.back_off is not None:
        back_off: Fields = {}
        if per_try.back_off.base_interval is not None:
            back_off["base_interval"] = duration(per_try.back_off.base_interval)
        if per_try.back_off.max_interval is not None:
            back_off["max_interval"] = duration(per_try.back_off.max_interval)
        if back_off:
            policy["retry_back_off"] = back_off
    return {"retry_policy": policy}
