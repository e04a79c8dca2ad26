"""Basic authentication as Envoy Gateway's SecurityPolicy writes it."""

from __future__ import annotations

from shared.api.base import Spec
from shared.api.gateway import SecretObjectReference

KEY = ".htpasswd"
"""Where the users stand in their Secret."""


class BasicAuthSpec(Spec, frozen=True):
    users: SecretObjectReference
    forward_username_header: str | None = None
