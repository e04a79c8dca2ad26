"""Routes and virtual hosts: what one HttpRoute of the IR becomes in a RouteConfiguration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from services.xds_server.render.destinations import per_setting
from services.xds_server.render.names import USUAL as USUAL_NAMES
from services.xds_server.render.names import Names
from shared.features.catalog import hooks
from shared.features.client.http3 import xds as http3
from shared.features.parts.external import Service
from shared.features.parts.listener_traits import ListenerTraits
from shared.features.parts.xds_values import Unrenderable, given, metadata, string_matcher, wrapped
from shared.features.route.direct_response import xds as direct_response
from shared.features.route.header_modifier import xds as header_modifier
from shared.features.route.redirect import xds as redirect
from shared.features.route.url_rewrite import xds as url_rewrite
from shared.features.traffic.compression import xds as compression
from shared.features.traffic.http_upgrade import xds as http_upgrade
from shared.features.traffic.load_balancer import xds as load_balancer
from shared.features.traffic.timeout import xds as timeout
from shared.ir.assemble import weights
from shared.ir.destination import Destination
from shared.ir.extension import ExtensionFeatures
from shared.ir.http import HttpListener, HttpRoute
from shared.ir.match import StringMatch
from shared.ir.security import SecurityFeatures
from shared.xds.message import Fields

INVALID_CLUSTER = "invalid-backend-cluster"
ON_ROUTE: Sequence[Callable[[HttpRoute], Fields]] = hooks("xds", "on_route")
"""Fields of the Route."""
ON_ACTION: Sequence[Callable[[HttpRoute], Fields]] = hooks("xds", "on_action")
"""Fields of its RouteAction; later rows go before earlier ones."""
PER_ROUTE: Sequence[Callable[[HttpRoute], Mapping[str, Fields]]] = hooks("xds", "per_route")
"""Filter name -> its configuration on this route."""
PER_ROUTE_AT: Sequence[Callable[[HttpRoute, ListenerTraits], Mapping[str, Fields]]] = hooks("xds", "per_route_at")
"""The same for features that must know the listener."""
FILTERS: Sequence[Callable[[HttpRoute], Mapping[str, Fields]]] = hooks("xds", "filters")
"""Filters by name, or pieces of filters that all routes of a listener share (shared/features/parts/per_route.py)."""
SERVICES_OF_SECURITY: Sequence[Callable[[SecurityFeatures], Iterator[Service]]] = hooks("xds", "services", "security")
SERVICES_OF_EXTENSIONS: Sequence[Callable[[ExtensionFeatures], Iterator[Service]]] = hooks("xds", "services", "extension")


def services(security: SecurityFeatures | None, extensions: ExtensionFeatures | None) -> Iterator[Service]:
    """Every service beside the backends that filters ask."""
    for of in SERVICES_OF_SECURITY if security is not None else ():
        yield from of(security)  # type: ignore[arg-type]  # not None, as just said
    for to in SERVICES_OF_EXTENSIONS if extensions is not None else ():
        yield from to(extensions)  # type: ignore[arg-type]  # likewise


class Ways(NamedTuple):
    """What a listener says of all its routes.

    `as_written`: their order is the one in which they are written; `keeps_idle`: it says itself how long a stream may be idle;
    `refuses`: every request is answered 500; `http3_port`: where clients find the same over HTTP/3; `listener`: its name, after
    which counters are named; `tells_limits`: clients are told their rate limits; `places`: where clients are
    can be looked up; `hidden_headers`: no backend gets to see these.
    """

    as_written: bool = False
    keeps_idle: bool = False
    refuses: bool = False
    http3_port: int | None = None
    listener: str = ""
    tells_limits: bool = True
    places: bool = False
    hidden_headers: tuple[str, ...] = ()


USUAL = Ways()


def route(ir: HttpRoute, ways: Ways = USUAL) -> Fields:
    """envoy.config.route.v3.Route; Unrenderable where the IR asks for what Envoy cannot do."""
    out = given(
        {
            "name": ir.name,
            "match": _match(ir),
            "metadata": metadata(ir.metadata),
            "typed_per_filter_config": _per_route(ir, ways) or None,
            "stat_prefix": ir.stat_name,
        }
        | {k: v for each in ON_ROUTE for k, v in each(ir).items()}
        | _action(ir, ways.keeps_idle)
    )
    if ways.hidden_headers:
        out["request_headers_to_remove"] = [*out.get("request_headers_to_remove", ()), *ways.hidden_headers]
    out |= compression.after_route(ir, out.get("request_headers_to_remove", []))
    if ways.http3_port is not None:
        out["response_headers_to_add"] = [*out.get("response_headers_to_add", ()), http3.advertisement(ways.http3_port)]
    return out


def _per_route(ir: HttpRoute, ways: Ways) -> dict[str, Fields]:
    found = {k: v for each in PER_ROUTE for k, v in each(ir).items()}
    traits = ListenerTraits(ways.listener, ways.tells_limits)
    return found | {k: v for each in PER_ROUTE_AT for k, v in each(ir, traits).items()}


def filters(ir: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that this route needs on its listener, or name of a piece -> what it adds to a filter there."""
    return {k: v for each in FILTERS for k, v in each(ir).items()}


def _match(ir: HttpRoute) -> Fields:
    out = {"connect_matcher": {}} if http_upgrade.connects(ir) else _path(ir.path_match)
    if ir.header_matches:
        out["headers"] = [{"name": m.name, "string_match": string_matcher(m)} for m in ir.header_matches]
    if ir.query_param_matches:
        out["query_parameters"] = [{"name": m.name, "string_match": string_matcher(m)} for m in ir.query_param_matches]
    if ir.cookie_matches:
        out["cookies"] = [{"name": m.name, "string_match": string_matcher(m), "invert_match": m.invert} for m in ir.cookie_matches]
    return out


def _path(match: StringMatch | None) -> Fields:
    if match is None or match.prefix == "/":
        return {"prefix": "/"}
    if match.exact is not None:
        return {"path": match.exact}
    if match.prefix is not None:
        return {"path_separated_prefix": match.prefix.removesuffix("/")}
    if match.safe_regex is not None:
        return {"safe_regex": {"regex": match.safe_regex}}
    raise Unrenderable("a path match without a path")


def _action(ir: HttpRoute, keeps_idle: bool) -> Fields:
    if (answer := direct_response.action(ir)) is not None:
        return {"direct_response": answer}
    if (away := redirect.action(ir)) is not None:
        return {"redirect": away}
    if ir.destination is None:
        raise Unrenderable(f"route {ir.name} leads nowhere")
    balancer = ir.traffic.load_balancer if ir.traffic is not None else None
    action = _target(ir.destination, load_balancer.splits_zones(balancer))
    for each in ON_ACTION:
        action |= each(ir)
    if keeps_idle and not timeout.says_idle(ir):
        action.pop("idle_timeout", None)
    if "weighted_clusters" in action and "hash_policy" in action:
        # otherwise a client would be pinned to an endpoint, but not to a backend
        action["weighted_clusters"]["use_hash_policy"] = wrapped(True)
    return {"route": action}


def _target(destination: Destination, zones: bool) -> Fields:
    if not per_setting(destination, zones):
        shared = destination.backend_cluster_refs
        return {"cluster": shared[0].name if shared else destination.name}
    split = weights(destination)
    clusters: list[Fields] = []
    if split.invalid or split.no_endpoints:
        clusters.append({"name": INVALID_CLUSTER, "weight": wrapped(split.invalid + split.no_endpoints)})
    for setting in destination.settings:
        if setting.endpoints or setting.is_dynamic_resolver or setting.is_custom_backend:
            share: Fields = {"name": setting.name, "weight": wrapped(1 if setting.weight is None else setting.weight)}
            if setting.filters is not None:
                share |= header_modifier.on_route(setting.filters) | url_rewrite.on_weight(setting.filters)
            clusters.append(share)
    clusters += [{"name": ref.name, "weight": wrapped(ref.weight)} for ref in destination.backend_cluster_refs if ref.weight is not None]
    return {
        "weighted_clusters": {"clusters": clusters},
        # Envoy has one answer for all clusters that are not there; without endpoints is the one that may heal by itself
        "cluster_not_found_response_code": "SERVICE_UNAVAILABLE" if split.no_endpoints else "INTERNAL_SERVER_ERROR",
    }


def virtual_host(listener: HttpListener, hostname: str, stats: bool, names: Names = USUAL_NAMES) -> Fields:
    """VirtualHost without its routes."""
    flat = hostname.replace(".", "_")
    out: Fields = {"name": names.host(listener, hostname), "domains": [hostname]}
    about = metadata(listener.metadata)
    if about is not None:
        out["metadata"] = about
    if stats:
        out["virtual_clusters"] = [{"name": flat, "headers": [{"name": ":authority", "string_match": {"prefix": hostname}}]}]
    return out
