"""IR of external authorization: a service of the user's that is asked about each request."""

from __future__ import annotations

from shared.ir.base import IR
from shared.ir.destination import Destination
from shared.ir.traffic import Traffic


class HttpAuthService(IR, frozen=True):
    destination: Destination
    authority: str = ""
    path: str = ""
    path_override: str = ""
    headers_to_backend: tuple[str, ...] = ()


class GrpcAuthService(IR, frozen=True):
    destination: Destination
    authority: str = ""


class BodyToAuth(IR, frozen=True):
    max_request_bytes: int = 0


class ContextExtension(IR, frozen=True):
    """`value` is base64, or sealed where it comes from a Secret."""

    name: str
    value: str = ""


class ExtAuth(IR, frozen=True):
    """One of `http` and `grpc`. `name` is the policy's."""

    name: str
    grpc: GrpcAuthService | None = None
    http: HttpAuthService | None = None
    headers_to_ext_auth: tuple[str, ...] = ()
    body_to_ext_auth: BodyToAuth | None = None
    context_extensions: tuple[ContextExtension, ...] = ()
    fail_open: bool | None = None
    recompute_route: bool | None = None
    include_route_metadata: bool | None = None
    timeout: str | None = None
    status_on_error: int | None = None
    traffic: Traffic | None = None
