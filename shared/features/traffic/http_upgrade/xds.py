"""HTTP upgrades in Envoy: upgrade configs of a RouteAction; where CONNECT is one of them the route matches CONNECT requests."""

from __future__ import annotations

from shared.ir.http import HttpRoute
from shared.xds.message import Fields

CONNECT = "CONNECT"


def on_action(route: HttpRoute) -> Fields:
    """Fields of the RouteAction; WebSocket unless a policy names others. gRPC knows no upgrades."""
    if route.is_http2:
        return {}
    wanted = route.traffic.http_upgrade if route.traffic is not None else ()
    configs: list[Fields] = []
    for each in wanted:
        ends = each.type == CONNECT and each.connect is not None and each.connect.terminate
        configs.append({"upgrade_type": each.type} | ({"connect_config": {}} if ends else {}))
    if not configs and route.traffic is not None and route.traffic.request_buffer is not None:
        # a buffer waits for the end of a request, and what is upgraded has none
        return {}
    return {"upgrade_configs": configs or [{"upgrade_type": "websocket"}]}


def connects(route: HttpRoute) -> bool:
    """Whether the route is for CONNECT requests."""
    return route.traffic is not None and any(each.type == CONNECT for each in route.traffic.http_upgrade)
