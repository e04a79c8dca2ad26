"""Routes of every kind, and the extension filter of those of HTTP. Features' specs live in their rooms; here they meet."""

from __future__ import annotations

import msgspec

from shared.api.base import Object, Spec
from shared.api.gateway import BackendObjectReference, ParentReference
from shared.features.parts.header_spec import HttpHeaderFilter
from shared.features.route.cors.spec import CorsSpec
from shared.features.route.credential_injection.spec import CredentialInjectionSpec
from shared.features.route.direct_response.spec import DirectResponseSpec
from shared.features.route.mirror.spec import RequestMirrorSpec
from shared.features.route.redirect.spec import RequestRedirectSpec
from shared.features.route.retry.spec import RetrySpec
from shared.features.route.session_persistence.spec import SessionPersistenceSpec
from shared.features.route.timeouts.spec import TimeoutsSpec
from shared.features.route.url_rewrite.spec import ExtendedRewriteSpec, UrlRewriteSpec


class PathMatch(Spec, frozen=True):
    type: str = "PathPrefix"
    value: str = "/"


class NamedMatch(Spec, frozen=True):
    """A header's or query parameter's match."""

    name: str
    value: str = ""
    type: str = "Exact"


class HttpRouteMatch(Spec, frozen=True):
    path: PathMatch | None = None
    headers: tuple[NamedMatch, ...] = ()
    query_params: tuple[NamedMatch, ...] = ()
    method: str | None = None


class ExtensionRef(Spec, frozen=True):
    group: str
    kind: str
    name: str


class HttpRouteFilter(Spec, frozen=True):
    """One of the fields, as `type` says."""

    type: str
    request_header_modifier: HttpHeaderFilter | None = None
    response_header_modifier: HttpHeaderFilter | None = None
    request_mirror: RequestMirrorSpec | None = None
    request_redirect: RequestRedirectSpec | None = None
    url_rewrite: UrlRewriteSpec | None = msgspec.field(default=None, name="urlRewrite")
    cors: CorsSpec | None = None
    extension_ref: ExtensionRef | None = None


class BackendRef(BackendObjectReference, frozen=True):
    weight: int = 1


class HttpBackendRef(BackendRef, frozen=True):
    filters: tuple[HttpRouteFilter, ...] = ()


class RouteRule(Spec, frozen=True):
    """What the rules of HTTP and gRPC have in common."""

    name: str | None = None
    filters: tuple[HttpRouteFilter, ...] = ()
    backend_refs: tuple[HttpBackendRef, ...] = ()
    session_persistence: SessionPersistenceSpec | None = None


class HttpRouteRule(RouteRule, frozen=True):
    matches: tuple[HttpRouteMatch, ...] = ()
    timeouts: TimeoutsSpec | None = None
    retry: RetrySpec | None = None


class HttpRouteSpec(Spec, frozen=True):
    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[HttpRouteRule, ...] = ()


class HttpRoute(Object, frozen=True):
    spec: HttpRouteSpec = HttpRouteSpec()


class GrpcMethodMatch(Spec, frozen=True):
    """One of service and method, or both."""

    type: str = "Exact"
    service: str | None = None
    method: str | None = None


class GrpcRouteMatch(Spec, frozen=True):
    method: GrpcMethodMatch | None = None
    headers: tuple[NamedMatch, ...] = ()


class GrpcRouteRule(RouteRule, frozen=True):
    """A gRPC rule has fewer filters than an HTTP rule; which of them is checked where they are translated."""

    matches: tuple[GrpcRouteMatch, ...] = ()


class GrpcRouteSpec(Spec, frozen=True):
    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[GrpcRouteRule, ...] = ()


class GrpcRoute(Object, frozen=True):
    spec: GrpcRouteSpec = GrpcRouteSpec()


class StreamRule(Spec, frozen=True):
    name: str | None = None
    backend_refs: tuple[BackendRef, ...] = ()


class StreamRouteSpec(Spec, frozen=True):
    parent_refs: tuple[ParentReference, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[StreamRule, ...] = ()


class StreamRoute(Object, frozen=True):
    """A TLSRoute, TCPRoute or UDPRoute; only the first has hostnames."""

    spec: StreamRouteSpec = StreamRouteSpec()


class CookieMatch(Spec, frozen=True):
    name: str
    value: str = ""
    type: str = "Exact"


class FilterMatch(Spec, frozen=True):
    cookies: tuple[CookieMatch, ...] = ()


class HttpRouteFilterSpec(Spec, frozen=True):
    url_rewrite: ExtendedRewriteSpec | None = msgspec.field(default=None, name="urlRewrite")
    direct_response: DirectResponseSpec | None = None
    matches: tuple[FilterMatch, ...] = ()
    credential_injection: CredentialInjectionSpec | None = None


class HttpRouteFilterObject(Object, frozen=True):
    """Envoy Gateway's HTTPRouteFilter."""

    spec: HttpRouteFilterSpec = HttpRouteFilterSpec()
