"""External authorization in Envoy: a filter for each policy on the listener, off until a route asks for it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from shared.features.parts.external import TIMEOUT, Service, grpc_service, http_uri, retry_policy
from shared.features.parts.per_route import off
from shared.features.parts.private import clear
from shared.features.parts.xds_values import Unrenderable, given
from shared.features.security.ext_auth.ir import ExtAuth, HttpAuthService
from shared.ir.http import HttpRoute
from shared.ir.security import SecurityFeatures
from shared.xds.message import Fields, pack

NAME = "envoy.filters.http.ext_authz"
_MESSAGES = "envoy.extensions.filters.http.ext_authz.v3"
_ROUTE_METADATA = ["envoy-gateway"]


def _name(of: ExtAuth) -> str:
    return f"{NAME}/{of.name}"


def _headers(names: Iterable[str]) -> Fields | None:
    patterns = [{"exact": name, "ignore_case": True} for name in names]
    return {"patterns": patterns} if patterns else None


@functools.lru_cache(maxsize=1024)
def _filter(of: ExtAuth) -> Fields:
    return off(_name(of), f"{_MESSAGES}.ExtAuthz", _config(of))


def _config(of: ExtAuth) -> Fields:
    timeout = of.timeout or TIMEOUT
    fields: Fields = {
        "transport_api_version": "V3",
        "failure_mode_allow": of.fail_open,
        "clear_route_cache": of.recompute_route,
        "route_metadata_context_namespaces": _ROUTE_METADATA if of.include_route_metadata else None,
        "with_request_body": {"max_request_bytes": of.body_to_ext_auth.max_request_bytes} if of.body_to_ext_auth is not None else None,
        "allowed_headers": _headers(of.headers_to_ext_auth),
        "status_on_error": {"code": of.status_on_error} if of.status_on_error is not None else None,
    }
    if of.http is not None:
        fields["http_service"] = _http(of.http, timeout) | given({"retry_policy": retry_policy(of.traffic)})
    elif of.grpc is not None:
        fields["grpc_service"] = grpc_service(of.grpc.destination.name, of.grpc.authority, timeout, of.traffic)
    else:
        raise Unrenderable(f"external authorization {of.name} has no service")
    return given(fields)


def _http(of: HttpAuthService, timeout: str) -> Fields:
    path = of.path_override or of.path
    # a URL's path begins with a slash; the filter takes only the cluster from here
    shown = path if path.startswith("/") or not path else f"/{path}"
    allowed = _headers(of.headers_to_backend)
    return given(
        {
            "server_uri": http_uri(f"http://{of.authority}{shown}", of.destination.name, timeout),
            "path_prefix": of.path,
            "path_override": of.path_override or None,
            "authorization_response": {"allowed_upstream_headers": allowed} if allowed is not None else None,
        }
    )


@functools.lru_cache(maxsize=1024)
def _per_route(of: ExtAuth) -> Fields:
    context = {e.name: clear(e.value).decode(errors="replace") for e in of.context_extensions}
    return pack(f"{_MESSAGES}.ExtAuthzPerRoute", {"check_settings": {"context_extensions": context}})


def _of(route: HttpRoute) -> ExtAuth | None:
    return route.security.ext_auth if route.security is not None else None


def filters(route: HttpRoute) -> dict[str, Fields]:
    """Name -> HttpFilter that the listener needs because of this route."""
    of = _of(route)
    return {_name(of): _filter(of)} if of is not None else {}


def per_route(route: HttpRoute) -> dict[str, Fields]:
    """Filter name -> Any: switches the filter on, with what the service is told besides."""
    of = _of(route)
    return {_name(of): _per_route(of)} if of is not None else {}


def services(of: SecurityFeatures) -> Iterator[Service]:
    """Who is asked."""
    auth = of.ext_auth
    for each in (auth.http, auth.grpc) if auth is not None else ():
        if each is not None:
            yield Service(each.destination, traffic=auth.traffic if auth is not None else None)
