"""Faults in Envoy: a filter on the listener that does nothing, and on each route that asks for some what it does."""

from __future__ import annotations

import functools

from shared.features.parts.xds_values import duration, given, percent
from shared.features.traffic.fault_injection.ir import FaultAbort, FaultDelay, FaultInjection
from shared.ir.http import HttpRoute
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.fault"
_MESSAGE = "envoy.extensions.filters.http.fault.v3.HTTPFault"
_FILTER: dict[str, Fields] = {NAME: {"name": NAME, "typed_config": pack(_MESSAGE)}}


def _of(route: HttpRoute) -> FaultInjection | None:
    return route.traffic.fault_injection if route.traffic is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    return _FILTER if _of(route) is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: the faults of this route."""
    faults = _of(route)
    if faults is None or (faults.delay is None and faults.abort is None):
        return {}
    return {NAME: _config(faults)}


@functools.lru_cache(maxsize=1024)
def _config(faults: FaultInjection) -> Fields:
    delay, abort = faults.delay, faults.abort
    fields = {"delay": _delay(delay) if delay is not None else None, "abort": _abort(abort) if abort is not None else None}
    return pack(_MESSAGE, given(fields))


def _delay(delay: FaultDelay) -> Fields:
    return given(
        {
            "fixed_delay": duration(delay.fixed_delay) if delay.fixed_delay is not None else None,
            "percentage": percent(delay.percentage) if delay.percentage is not None else None,
        }
    )


def _abort(abort: FaultAbort) -> Fields:
    status = {"grpc_status": abort.grpc_status} if abort.grpc_status is not None else {"http_status": abort.http_status}
    return given(status | {"percentage": percent(abort.percentage) if abort.percentage is not None else None})
