"""A credential for backends, as Envoy Gateway's HTTPRouteFilter writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference

KEY = "credential"
"""Where the credential stands in its Secret."""


class InjectedCredential(Spec, frozen=True):
    value_ref: SecretObjectReference


class CredentialInjectionSpec(Spec, frozen=True):
    """`header` is Authorization where none is given; without `overwrite` a request's own value stays."""

    credential: InjectedCredential
    header: str | None = None
    overwrite: bool | None = None
