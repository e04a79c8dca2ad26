"""Request timeouts in Envoy: a RouteAction's timeout, and the idle timeout that must not undercut it."""

from __future__ import annotations

from shared.features.parts.xds_values import duration, nanoseconds
from shared.ir.http import HttpRoute
from shared.xds.message import Fields

_DEFAULT_IDLE = "1h"


def on_action(route: HttpRoute) -> Fields:
    """Fields that the request timeout adds: a stream must not go idle before its request times out; 0 switches both off."""
    timeout = route.timeout
    if timeout is None:
        return {}
    length = nanoseconds(timeout)
    idle = timeout if length == 0 or length > nanoseconds(_DEFAULT_IDLE) else _DEFAULT_IDLE
    return {"timeout": duration(timeout), "idle_timeout": duration(idle)}
