"""External authorization as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.features.parts.service_spec import ServiceSpec


class HttpAuthSpec(ServiceSpec, frozen=True):
    path: str | None = None
    path_override: str | None = None
    headers_to_backend: tuple[str, ...] = ()


class GrpcAuthSpec(ServiceSpec, frozen=True):
    pass


class BodyToAuthSpec(Spec, frozen=True):
    max_request_bytes: int


class KeyRef(Spec, frozen=True):
    """A key of a ConfigMap or Secret in the policy's namespace."""

    kind: str
    name: str
    key: str
    group: str = ""


class ContextExtensionSpec(Spec, frozen=True):
    """`type` says which: Value or ValueRef."""

    name: str
    type: str = "Value"
    value: str | None = None
    value_ref: KeyRef | None = None


class ExtAuthSpec(Spec, frozen=True):
    """One of `grpc` and `http`."""

    grpc: GrpcAuthSpec | None = None
    http: HttpAuthSpec | None = None
    headers_to_ext_auth: tuple[str, ...] = ()
    body_to_ext_auth: BodyToAuthSpec | None = None
    context_extensions: tuple[ContextExtensionSpec, ...] = ()
    fail_open: bool | None = None
    recompute_route: bool | None = None
    include_route_metadata: bool | None = None
    timeout: str | None = None
    status_on_error: int | None = None
