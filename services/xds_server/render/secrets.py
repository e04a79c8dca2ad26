"""Sealed values of a policy, opened where Envoy takes them in clear: it has no way to be sent these by SDS."""

from __future__ import annotations

import base64

from msgspec.structs import replace

from services.xds_server.render.tls import OpenSecret
from services.xds_server.render.types import SECRET, Need, Rendered, rendered
from shared.core.sealing import SealError, is_sealed
from shared.features.parts.xds_values import Unrenderable
from shared.features.security.oidc import xds as oidc
from shared.ir.security import SecurityFeatures


def opened(of: SecurityFeatures, open_secret: OpenSecret) -> SecurityFeatures:
    """The policy with every sealed value that stands in filters as base64; Unrenderable where one of its secrets cannot be opened."""
    generic_secrets(of, open_secret)

    def clear(value: str) -> str:
        return base64.b64encode(plain(value)).decode() if is_sealed(value) else value

    def written(value: str) -> str:
        """A value that is base64 in its Secret already."""
        return plain(value).decode(errors="replace") if is_sealed(value) else value

    def plain(value: str) -> bytes:
        try:
            return open_secret(value)
        except SealError as e:
            raise Unrenderable("a secret of a security policy cannot be opened") from e

    if of.basic_auth is not None:
        of = replace(of, basic_auth=replace(of.basic_auth, users=clear(of.basic_auth.users)))
    if of.api_key_auth is not None:
        keys = tuple(replace(c, key=clear(c.key)) for c in of.api_key_auth.credentials)
        of = replace(of, api_key_auth=replace(of.api_key_auth, credentials=keys))
    if of.ext_auth is not None and of.ext_auth.context_extensions:
        told = tuple(replace(e, value=written(e.value)) for e in of.ext_auth.context_extensions)
        of = replace(of, ext_auth=replace(of.ext_auth, context_extensions=told))
    return of


def generic_secrets(of: SecurityFeatures, open_secret: OpenSecret) -> dict[Need, Rendered]:
    """SDS secrets that the policy's filters name; Unrenderable where one cannot be opened."""
    out: dict[Need, Rendered] = {}
    for name, value in oidc.secrets(of).items():
        try:
            secret = open_secret(value)
        except SealError as e:
            raise Unrenderable(f"secret {name} cannot be opened") from e
        out[SECRET, name] = rendered(SECRET, {"name": name, "generic_secret": {"secret": {"inline_bytes": secret}}})
    return out
