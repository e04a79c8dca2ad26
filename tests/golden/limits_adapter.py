"""Rate limits as the reference cases have them: the service's configuration, and a route's descriptors in Go's spelling."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.features.traffic.rate_limit import service, xds
from shared.ir.gateway import Xds
from shared.xds.message import decode, encode
from tests.golden.render_adapter import normal

_PER_ROUTE = "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute"


def ratelimit(http: Any) -> dict[str, Any]:
    listeners = msgspec.convert(normal(http if isinstance(http, dict) else {"http": http}), Xds).http
    trees: dict[str, dict[str, Any]] = {}
    for each in listeners:
        for domain, names in service.tree(each.routes, each.name).items():
            own = trees.setdefault(domain, {})
            for name, chains in names.items():
                own[name] = service.united(own.get(name, ()), chains)
    configs = [_yaml(service.config(domain, names)) for domain, names in sorted(trees.items())]
    routes = [
        {"routeName": route.name, "rateLimitsByDomain": {d: _go(r) for d, r in xds.rate_limits(route, each.name).items()}}
        for each in listeners
        for route in each.routes
    ]
    return {"config": configs[0] if len(configs) == 1 else configs, "routes": routes[0] if len(routes) == 1 else routes}


def _yaml(config: dict[str, Any]) -> dict[str, Any]:
    return {**config, "descriptors": [_descriptor(d) for d in config["descriptors"]]}


def _descriptor(of: dict[str, Any]) -> dict[str, Any]:
    """As the rate limit service prints what it understood, which has more fields than it can be told."""
    limit = of.get("rate_limit")
    flags = dict.fromkeys(("quota_mode", "detailed_metric", "value_to_metric", "share_threshold"), False)
    return flags | {
        "key": of["key"],
        "value": of.get("value", ""),
        "rate_limit": None if limit is None else {**limit, "unlimited": False, "name": "", "replaces": []},
        "descriptors": [_descriptor(d) for d in of.get("descriptors", [])],
        "shadow_mode": of.get("shadow_mode", False),
    }


def _go(rates: list[Any]) -> Any:
    return [_message(r) for r in decode(_PER_ROUTE, encode(_PER_ROUTE, {"rate_limits": rates})).rate_limits]


def _message(of: Any) -> Any:
    """Go's structs: a oneof is a field of its own, whose name and member start with a capital."""
    out: dict[str, Any] = {}
    for field, value in of.ListFields():
        inner = [_value(field, v) for v in value] if isinstance(value, (list, tuple)) or hasattr(value, "add") else _value(field, value)
        if field.containing_oneof is None:
            out[field.name] = inner
            continue
        made = {_capital(field.name): inner}
        if field.name == "safe_regex":
            made[_capital(field.name)] = {"EngineType": None} | dict(inner)
        out[_capital(field.containing_oneof.name)] = made
    return out


def _value(field: Any, value: Any) -> Any:
    return _message(value) if field.message_type is not None else value


def _capital(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
