"""Routes and virtual hosts: what one HttpRoute of the IR becomes in a RouteConfiguration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from services.xds_server.render.destinations import per_setting
from services.xds_server.render.names import USUAL as USUAL_NAMES
from services.xds_server.render.names import Names
from shared.features.client.http3 import xds as http3
from shared.features.extension.dynamic_module import xds as dynamic_module
from shared.features.extension.ext_proc import xds as ext_proc
from shared.features.extension.lua import xds as lua
from shared.features.extension.wasm import xds as wasm
from shared.features.parts.external import Service
from shared.features.parts.xds_values import Unrenderable, given, metadata, string_matcher, wrapped
from shared.features.route.cors import xds as cors
from shared.features.route.credential_injection import xds as credential_injection
from shared.features.route.direct_response import xds as direct_response
from shared.features.route.dynamic_resolver import xds as dynamic_resolver
from shared.features.route.header_modifier import xds as header_modifier
from shared.features.route.mirror import xds as mirror
from shared.features.route.redirect import xds as redirect
from shared.features.route.retry import xds as retry
from shared.features.route.session_persistence import xds as session_persistence
from shared.features.route.timeouts import xds as timeouts
from shared.features.route.url_rewrite import xds as url_rewrite
from shared.features.security.api_key_auth import xds as api_key_auth
from shared.features.security.authorization import places
from shared.features.security.authorization import xds as authorization
from shared.features.security.basic_auth import xds as basic_auth
from shared.features.security.csrf import xds as csrf
from shared.features.security.ext_auth import xds as ext_auth
from shared.features.security.jwt import xds as jwt
from shared.features.security.oidc import xds as oidc
from shared.features.traffic.bandwidth_limit import xds as bandwidth_limit
from shared.features.traffic.compression import xds as compression
from shared.features.traffic.fault_injection import xds as fault_injection
from shared.features.traffic.http_upgrade import xds as http_upgrade
from shared.features.traffic.load_balancer import xds as load_balancer
from shared.features.traffic.rate_limit import xds as rate_limit
from shared.features.traffic.request_buffer import xds as request_buffer
from shared.features.traffic.response_override import xds as response_override
from shared.features.traffic.telemetry import xds as telemetry
from shared.features.traffic.timeout import xds as timeout
from shared.ir.assemble import weights
from shared.ir.destination import Destination
from shared.ir.extension import ExtensionFeatures
from shared.ir.http import HttpListener, HttpRoute
from shared.ir.match import StringMatch
from shared.ir.security import SecurityFeatures
from shared.xds.message import Fields

INVALID_CLUSTER = "invalid-backend-cluster"
ON_ACTION: tuple[Callable[[HttpRoute], Fields], ...] = (
    http_upgrade.on_action,
    url_rewrite.on_action,
    mirror.on_action,
    timeouts.on_action,
    timeout.on_action,
    retry.on_action,
    load_balancer.on_action,
)
PER_ROUTE: tuple[Callable[[HttpRoute], dict[str, Fields]], ...] = (
    cors.per_route,
    session_persistence.per_route,
    credential_injection.per_route,
    csrf.per_route,
    ext_auth.per_route,
    api_key_auth.per_route,
    basic_auth.per_route,
    oidc.per_route,
    jwt.per_route,
    authorization.per_route,
    lua.per_route,
    ext_proc.per_route,
    wasm.per_route,
    dynamic_module.per_route,
    dynamic_resolver.per_route,
    fault_injection.per_route,
    bandwidth_limit.per_route,
    compression.per_route,
    request_buffer.per_route,
    response_override.per_route,
)
FILTERS: tuple[Callable[[HttpRoute], Mapping[str, Fields]], ...] = (
    cors.filters,
    session_persistence.filters,
    credential_injection.filters,
    dynamic_resolver.filters,
    csrf.filters,
    ext_auth.filters,
    api_key_auth.filters,
    basic_auth.filters,
    oidc.filters,
    jwt.filters,
    places.filters,
    authorization.filters,
    lua.filters,
    ext_proc.filters,
    wasm.filters,
    dynamic_module.filters,
    rate_limit.filters,
    fault_injection.filters,
    bandwidth_limit.filters,
    compression.filters,
    request_buffer.filters,
    response_override.filters,
)
"""Filters by name, or pieces of filters that all routes of a listener share (shared/features/parts/per_route.py)."""


SERVICES_OF_SECURITY: tuple[Callable[[SecurityFeatures], Iterator[Service]], ...] = (jwt.services, oidc.services, ext_auth.services)
SERVICES_OF_EXTENSIONS: tuple[Callable[[ExtensionFeatures], Iterator[Service]], ...] = (ext_proc.services, dynamic_module.services)


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
        | header_modifier.on_route(ir)
        | telemetry.on_route(ir)
        | _action(ir, ways.keeps_idle)
    )
    if ways.hidden_headers:
        out["request_headers_to_remove"] = [*out.get("request_headers_to_remove", ()), *ways.hidden_headers]
    out |= compression.on_route(ir, out.get("request_headers_to_remove", []))
    if ways.http3_port is not None:
        out["response_headers_to_add"] = [*out.get("response_headers_to_add", ()), http3.advertisement(ways.http3_port)]
    return out


def _per_route(ir: HttpRoute, ways: Ways) -> dict[str, Fields]:
    found = {k: v for each in PER_ROUTE for k, v in each(ir).items()}
    return found | rate_limit.per_route(ir, ways.listener, headers=ways.tells_limits)


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
        if setting.endpoints or setting.is_dynamic_resolver:
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
